package cluster

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/runbook-engine/runbook/actions"
)

// ChangeStatus edits the status of an object, for the version that was read only.
// A status has no place for notes, so edit itself must recognise what an earlier
// attempt did, and then change nothing: nothing is sent.
func (c Client) ChangeStatus(ctx context.Context, o Object, edit func(o *unstructured.Unstructured) error) error {
	return c.retry(ctx, o, func(read *unstructured.Unstructured) error {
		edited := read.DeepCopy()
		if err := edit(edited); err != nil || equality.Semantic.DeepEqual(read.Object, edited.Object) {
			return err
		}
		body, err := difference(read, edited)
		if err != nil {
			return actions.Permanent(c.Errorf("change the status of %s %s: %w", o.Resource, o.Name, err))
		}
		request := o.Request("patch")
		request.Resource += "/status"
		return c.Do(ctx, request, func(ctx context.Context) error {
			_, err := c.resource(o).Patch(ctx, o.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: fieldManager, DryRun: c.dryRun}, "status")
			return err
		})
	})
}
