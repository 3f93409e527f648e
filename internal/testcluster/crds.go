package testcluster

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
)

// Those of Chaos Mesh are generated from its API module, all but workflows and
// schedules, which are ten times as large as the others together:
//
//go:generate go run sigs.k8s.io/controller-tools/cmd/controller-gen@v0.19.0 crd:maxDescLen=0 paths=github.com/chaos-mesh/chaos-mesh/api/v1alpha1 output:crd:dir=crds
//go:generate sh -c "rm crds/chaos-mesh.org_workflow*.yaml crds/chaos-mesh.org_schedules.yaml"
//go:embed crds
var definitions embed.FS

var definitionResource = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// Install adds custom resources by their names, such as
// podchaos.chaos-mesh.org, for all tests of the package. Each costs the API
// server memory, so a package installs what it uses.
func (c *Cluster) Install(t testing.TB, names ...string) {
	t.Helper()
	client, err := dynamic.NewForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	all := client.Resource(definitionResource)
	for _, name := range names {
		if _, err := all.Create(t.Context(), definition(t, name), metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatalf("install %s: %v", name, err)
		}
	}
	for _, name := range names {
		Eventually(t, name, func() error {
			found, err := all.Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			return established(found)
		})
	}
}

func definition(t testing.TB, name string) *unstructured.Unstructured {
	t.Helper()
	plural, group, _ := strings.Cut(name, ".")
	text, err := definitions.ReadFile(fmt.Sprintf("crds/%s_%s.yaml", group, plural))
	if err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{}
	if err := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), len(text)).Decode(&object.Object); err != nil {
		t.Fatalf("read the definition of %s: %v", name, err)
	}
	return object
}

func established(definition *unstructured.Unstructured) error {
	conditions, _, err := unstructured.NestedSlice(definition.Object, "status", "conditions")
	if err != nil {
		return err
	}
	for _, one := range conditions {
		condition, _ := one.(map[string]any)
		if condition["type"] == "Established" && condition["status"] == "True" {
			return nil
		}
	}
	return errors.New("not yet established")
}
