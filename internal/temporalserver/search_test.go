//go:build !noembedded

package temporalserver

import (
	"strings"
	"testing"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

func TestSearchAttributesCanBeUsedAtOnce(t *testing.T) {
	dir := t.TempDir()
	book, severity := temporal.NewSearchAttributeKeyKeyword("TestRunbook"), temporal.NewSearchAttributeKeyInt64("TestSeverity")
	attrs := map[string]enumspb.IndexedValueType{"TestRunbook": enumspb.INDEXED_VALUE_TYPE_KEYWORD}
	for _, c := range []struct {
		id    string
		add   string
		with  temporal.SearchAttributes
		query string
	}{
		{"first", "", temporal.NewSearchAttributes(book.ValueSet("pool")), `TestRunbook = "pool"`},
		{"second", "TestSeverity", temporal.NewSearchAttributes(book.ValueSet("disk"), severity.ValueSet(3)), `TestRunbook = "disk" AND TestSeverity > 2`},
	} {
		if c.add != "" {
			attrs[c.add] = enumspb.INDEXED_VALUE_TYPE_INT
		}
		s := start(t, Options{Dir: dir, SearchAttributes: attrs})
		conn := dial(t, s)
		options := client.StartWorkflowOptions{ID: c.id, TaskQueue: queue, TypedSearchAttributes: c.with}
		if _, err := conn.ExecuteWorkflow(t.Context(), options, oneActivity); err != nil {
			t.Fatal(err)
		}
		listed(t, conn, c.query, 1)
		s.Stop()
	}
}

func TestAnAttributeOfAnotherTypeIsAnError(t *testing.T) {
	dir := t.TempDir()
	start(t, Options{Dir: dir, SearchAttributes: map[string]enumspb.IndexedValueType{"Test": enumspb.INDEXED_VALUE_TYPE_KEYWORD}}).Stop()
	s, err := Start(t.Context(), Options{Dir: dir, SearchAttributes: map[string]enumspb.IndexedValueType{"Test": enumspb.INDEXED_VALUE_TYPE_INT}})
	if err == nil {
		s.Stop()
		t.Fatal("started with an attribute of another type")
	}
}

// Words of a text are not found once the full-text tables are gone, so nobody may rely on them.
func TestAttributesOfFullTextAreRefused(t *testing.T) {
	for _, kind := range []enumspb.IndexedValueType{enumspb.INDEXED_VALUE_TYPE_TEXT, enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST} {
		s, err := Start(t.Context(), Options{Dir: t.TempDir(), SearchAttributes: map[string]enumspb.IndexedValueType{"Test": kind}})
		if err == nil {
			s.Stop()
		}
		if err == nil || !strings.Contains(err.Error(), "use Keyword") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
