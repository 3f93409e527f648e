package objects

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type patchParams struct {
	Connection  string         `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace   string         `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the object." example:"shop"`
	Resource    string         `json:"resource" doc:"What kind of object it is: the plural, the version and the group, with points between; of the core group, plural, version and a point." pattern:"^[a-z]+\\.v[a-z0-9]+\\.[-.a-z0-9]*$" example:"destinationrules.v1.networking.istio.io"`
	Name        string         `json:"name" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"Name of the object." example:"orders-api"`
	Merge       map[string]any `json:"merge,omitempty" optional:"true" doc:"What to set, as a JSON merge patch: null takes a key away, a list replaces a list. Exactly one of merge and json is given." example:"{spec: {trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3, interval: 10s, baseEjectionTime: 30s}}}}"`
	JSON        []any          `json:"json,omitempty" optional:"true" min:"1" doc:"A JSON patch (RFC 6902), instead of merge." example:"[{op: replace, path: /spec/tikv/replicas, value: 4}]"`
	AllowSystem bool           `json:"allow_system_namespace" default:"false" doc:"Allow the namespaces of the cluster itself: kube-system and all others that begin with kube-."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *patchParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields patchParams
	problems := document.Decode(n, (*fields)(p))
	if cluster.Given(n, "merge", "json") != 1 {
		problems.Add(n.At, "exactly-one", "exactly one of merge and json must be given", "merge: {spec: {…}}")
	}
	return append(problems, cluster.GuardNamespace(n, p.Namespace, p.AllowSystem)...)
}

func (p patchParams) object() cluster.Object {
	kind, _ := schema.ParseResourceArg(p.Resource)
	if kind == nil {
		kind = &schema.GroupVersionResource{}
	}
	return cluster.Object{GroupVersionResource: *kind, Namespace: p.Namespace, Name: p.Name}
}

func (p patchParams) id() string {
	return p.object().GroupResource().String() + "/" + p.Namespace + "/" + p.Name
}

type patchResult struct {
	Changed bool `json:"changed" doc:"True when this run changed the object; false when it was so already."`
}

// The risk is what the list of the connection makes it, as with commands: whoever
// writes it decides which fields a step may change without consent.
func (s system) patchAction() actions.Action {
	return actions.Define(actions.Def[patchParams, patchResult]{
		Name: "kubernetes.patch",
		Doc: "Change an object, as far as the connection allows: which kinds, where, and which fields. " +
			"It can not be taken back, as nobody knows what the change brought about.",
		Risk:    actions.Disruptive,
		Example: "{namespace: shop, resource: destinationrules.v1.networking.istio.io, name: orders-api, merge: {spec: {host: orders-api}}}",
		Target:  patchParams.id,
		Accepts: func(ctx context.Context, _ actions.Target, p patchParams) error {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return err
			}
			_, err = patch(ctx, c.Rehearsing(), cluster.Asking, p)
			return err
		},
		Run: func(ctx context.Context, key actions.Key, _ actions.Target, p patchParams) (patchResult, error) {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return patchResult{}, err
			}
			return patch(ctx, c, key, p)
		},
	})
}

const (
	patched   = "patched"
	unchanged = "unchanged"
)

func patch(ctx context.Context, c cluster.Client, key actions.Key, p patchParams) (patchResult, error) {
	o := p.object()
	rules := slices.DeleteFunc(slices.Clone(c.Config.Patch), func(a cluster.Allowed) bool { return !a.Allows(o) })
	if len(rules) == 0 {
		return patchResult{}, actions.Permanent(c.Errorf("patch %s: the connection does not allow it; add to patch of the connection in the engine's config: {resource: %s, namespaces: [%s], fields: [/spec/…]}",
			p.id(), o.GroupResource(), p.Namespace))
	}
	note, _, err := c.Make(ctx, key, cluster.Change{
		Object: o,
		Notes:  "runbook-engine.io/patches",
		Edit: func(o *unstructured.Unstructured) (string, error) {
			note, err := p.allowed(rules, o)
			if err != nil {
				return "", actions.Permanent(c.Errorf("patch %s: %w", p.id(), err))
			}
			return note, nil
		},
	})
	return patchResult{Changed: note == patched}, err
}

// allowed applies the patch when it stays within the rules.
func (p patchParams) allowed(rules []cluster.Allowed, o *unstructured.Unstructured) (note string, err error) {
	before := o.DeepCopy()
	if note, err = p.apply(o); err != nil || note == unchanged {
		return note, err
	}
	field, err := cluster.Outside(rules, before, o)
	if err == nil && field != "" {
		err = fmt.Errorf("the connection does not allow %s to be changed; what it allows stands under patch of the connection in the engine's config", field)
	}
	return note, err
}

// apply edits the object as the API server would, so that one change holds the
// patch, its note, and the version that it is for.
func (p patchParams) apply(o *unstructured.Unstructured) (note string, err error) {
	before, err := o.MarshalJSON()
	if err != nil {
		return "", err
	}
	after, err := p.applied(before)
	if err != nil {
		return "", err
	}
	edited := &unstructured.Unstructured{}
	if err := edited.UnmarshalJSON(after); err != nil {
		return "", err
	}
	if edited.GetName() != o.GetName() || edited.GetNamespace() != o.GetNamespace() || edited.GetKind() != o.GetKind() || edited.GetUID() != o.GetUID() {
		return "", errors.New("a patch can not make it another object")
	}
	if jsonpatch.Equal(before, after) {
		return unchanged, nil
	}
	o.Object = edited.Object
	return patched, nil
}

func (p patchParams) applied(object []byte) ([]byte, error) {
	if p.JSON == nil {
		merge, err := json.Marshal(p.Merge)
		if err != nil {
			return nil, err
		}
		return jsonpatch.MergePatch(object, merge)
	}
	text, err := json.Marshal(p.JSON)
	if err != nil {
		return nil, err
	}
	operations, err := jsonpatch.DecodePatch(text)
	if err != nil {
		return nil, fmt.Errorf("read the JSON patch: %w", err)
	}
	return operations.Apply(object)
}
