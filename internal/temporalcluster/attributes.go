package temporalcluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

func ensureAttributes(ctx context.Context, c client.Client, namespace string, attrs map[string]enumspb.IndexedValueType) error {
	missing, err := missingAttributes(ctx, c, namespace, attrs)
	if err != nil {
		return err
	}
	if err := addAttributes(ctx, c, namespace, missing); err != nil {
		return err
	}
	return settle(ctx, as[*serviceerror.InvalidArgument], func(ctx context.Context) error {
		return query(ctx, c, namespace, sorted(attrs)...)
	})
}

func addAttributes(ctx context.Context, c client.Client, namespace string, missing map[string]enumspb.IndexedValueType) error {
	if len(missing) == 0 {
		return nil
	}
	_, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: missing,
	})
	switch {
	case denied(err):
		return &PermissionError{
			Need:     fmt.Sprintf("adding search attributes %s to namespace %s", describe(missing), namespace),
			Commands: createCommands(namespace, missing),
			Err:      err,
		}
	case err != nil && !as[*serviceerror.AlreadyExists](err):
		return fmt.Errorf("adding search attributes %s to namespace %s: %w", describe(missing), namespace, err)
	}
	return nil
}

// missingAttributes compares with what the server lists. Where listing is not permitted it asks for each one by a query,
// which cannot tell the type.
func missingAttributes(ctx context.Context, c client.Client, namespace string, attrs map[string]enumspb.IndexedValueType) (map[string]enumspb.IndexedValueType, error) {
	list, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	switch {
	case denied(err):
		return unknownToQueries(ctx, c, namespace, attrs)
	case err != nil:
		return nil, fmt.Errorf("listing search attributes of namespace %s: %w", namespace, err)
	}
	missing := map[string]enumspb.IndexedValueType{}
	for _, name := range sorted(attrs) {
		have, ok := list.GetCustomAttributes()[name]
		switch {
		case !ok:
			missing[name] = attrs[name]
		case have != attrs[name]:
			return nil, fmt.Errorf("search attribute %s of namespace %s has type %s and %s is needed; "+
				"use another namespace, or rename the attribute there and start again", name, namespace, have, attrs[name])
		}
	}
	return missing, nil
}

func unknownToQueries(ctx context.Context, c client.Client, namespace string, attrs map[string]enumspb.IndexedValueType) (map[string]enumspb.IndexedValueType, error) {
	missing := map[string]enumspb.IndexedValueType{}
	for _, name := range sorted(attrs) {
		err := query(ctx, c, namespace, name)
		switch {
		case as[*serviceerror.InvalidArgument](err):
			missing[name] = attrs[name]
		case err != nil:
			return nil, err
		}
	}
	return missing, nil
}

// query uses the attributes in a search that finds nothing, which the server refuses while it does not know one of them.
func query(ctx context.Context, c client.Client, namespace string, names ...string) error {
	terms := []string{"WorkflowId = 'search-attribute-probe'"}
	for _, name := range names {
		terms = append(terms, name+" IS NULL")
	}
	_, err := c.WorkflowService().ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: namespace,
		PageSize:  1,
		Query:     strings.Join(terms, " AND "),
	})
	if err != nil {
		return fmt.Errorf("searching namespace %s by %s: %w", namespace, strings.Join(names, ", "), err)
	}
	return nil
}

func createCommands(namespace string, attrs map[string]enumspb.IndexedValueType) []string {
	var commands []string
	for _, name := range sorted(attrs) {
		commands = append(commands, fmt.Sprintf(
			"temporal operator search-attribute create --namespace %s --name %s --type %s", namespace, name, attrs[name]))
	}
	return commands
}

func describe(attrs map[string]enumspb.IndexedValueType) string {
	var parts []string
	for _, name := range sorted(attrs) {
		parts = append(parts, fmt.Sprintf("%s (%s)", name, attrs[name]))
	}
	return strings.Join(parts, ", ")
}

func sorted(attrs map[string]enumspb.IndexedValueType) []string {
	return slices.Sorted(maps.Keys(attrs))
}
