package cluster

import (
	"context"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/runbook-engine/runbook/actions"
)

// Object names one object of the API.
type Object struct {
	schema.GroupVersionResource
	Namespace, Name string
}

// Request is one on this object.
func (o Object) Request(verb string) Request {
	return Request{Verb: verb, Group: o.Group, Resource: o.Resource, Namespace: o.Namespace, Name: o.Name}
}

// Get reads it.
func (c Client) Get(ctx context.Context, o Object) (now *unstructured.Unstructured, err error) {
	err = c.Do(ctx, o.Request("get"), func(ctx context.Context) error {
		now, err = c.resource(o).Get(ctx, o.Name, metav1.GetOptions{})
		return err
	})
	return now, err
}

// Create makes it.
func (c Client) Create(ctx context.Context, o Object, body *unstructured.Unstructured) (now *unstructured.Unstructured, err error) {
	err = c.Do(ctx, o.Request("create"), func(ctx context.Context) error {
		now, err = c.resource(o).Create(ctx, body, metav1.CreateOptions{FieldManager: fieldManager, DryRun: c.dryRun})
		return err
	})
	return now, err
}

func (c Client) patch(ctx context.Context, o Object, body []byte) (now *unstructured.Unstructured, err error) {
	err = c.Do(ctx, o.Request("patch"), func(ctx context.Context) error {
		now, err = c.resource(o).Patch(ctx, o.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: fieldManager, DryRun: c.dryRun})
		return err
	})
	return now, err
}

func (c Client) resource(o Object) dynamic.ResourceInterface {
	if o.Namespace == "" {
		return c.Dynamic.Resource(o.GroupVersionResource)
	}
	return c.Dynamic.Resource(o.GroupVersionResource).Namespace(o.Namespace)
}

// fieldManager is under which name the API server notes what we changed.
const fieldManager = "runbook"

// Change edits an object once under a key.
type Change struct {
	Object Object
	// Notes is the annotation that remembers changes of this kind. It is on the
	// object itself and changed together with it, so that there is no moment at
	// which one is done and not the other.
	Notes string
	// Edit changes the object as it was read, and says what to remember of it,
	// without white space.
	Edit func(o *unstructured.Unstructured) (note string, err error)
	// Back takes back what was remembered, where there is something to take back.
	Back func(o *unstructured.Unstructured, note string) error
}

// Make makes the change, unless it was made under this key before, and gives
// what is remembered of it and what the object then is. Edit is asked anew when
// somebody changed the object in between.
func (c Client) Make(ctx context.Context, key actions.Key, ch Change) (note string, now *unstructured.Unstructured, err error) {
	err = c.retry(ctx, ch.Object, func(read *unstructured.Unstructured) (err error) {
		now = read
		done := parseNotes(read.GetAnnotations()[ch.Notes])
		var already bool
		if note, already = done.of(key); already {
			return nil
		}
		edited := read.DeepCopy()
		if note, err = ch.Edit(edited); err != nil {
			return err
		}
		now, err = c.write(ctx, ch, read, edited, done.with(key, note))
		return err
	})
	return note, now, err
}

// Undo takes back what Make did under this key, if it did. An object that is
// gone took the change with it.
func (c Client) Undo(ctx context.Context, key actions.Key, ch Change) error {
	err := c.retry(ctx, ch.Object, func(read *unstructured.Unstructured) error {
		done := parseNotes(read.GetAnnotations()[ch.Notes])
		note, made := done.of(key)
		if !made {
			return nil
		}
		edited := read.DeepCopy()
		if err := ch.Back(edited, note); err != nil {
			return err
		}
		_, err := c.write(ctx, ch, read, edited, done.without(key))
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// write sends what differs, for the version of the object that was read only.
func (c Client) write(ctx context.Context, ch Change, read, edited *unstructured.Unstructured, done notes) (*unstructured.Unstructured, error) {
	annotations := edited.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[ch.Notes] = done.String()
	if len(done) == 0 {
		delete(annotations, ch.Notes)
	}
	edited.SetAnnotations(annotations)
	body, err := difference(read, edited)
	if err != nil {
		return nil, actions.Permanent(c.Errorf("change %s %s: %w", ch.Object.Resource, ch.Object.Name, err))
	}
	return c.patch(ctx, ch.Object, body)
}

// difference is a merge patch that fails on any other version of the object.
func difference(read, edited *unstructured.Unstructured) ([]byte, error) {
	before := read.DeepCopy()
	before.SetResourceVersion("")
	from, err := before.MarshalJSON()
	if err != nil {
		return nil, err
	}
	to, err := edited.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return jsonpatch.CreateMergePatch(from, to)
}

// How often an object is read anew because somebody changed it between our
// reading and our patch: its controllers do, many times while pods come and go.
const (
	conflictTries  = 10
	conflictPause  = 20 * time.Millisecond // before the second try; twice as long before each other
	conflictAtMost = 500 * time.Millisecond
)

// retry does not use retry.RetryOnConflict of client-go, which reports success
// when the context ends.
func (c Client) retry(ctx context.Context, o Object, change func(now *unstructured.Unstructured) error) (err error) {
	for try := range conflictTries {
		var now *unstructured.Unstructured
		if now, err = c.Get(ctx, o); err != nil {
			return err
		}
		if err = change(now); !apierrors.IsConflict(err) {
			return err
		}
		if Pause(ctx, min(conflictPause<<try, conflictAtMost)) != nil {
			return err
		}
	}
	return err
}
