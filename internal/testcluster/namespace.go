package testcluster

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runbook-engine/runbook/internal/lab/child"
)

// Namespace makes one for a test, in which pods can run. It goes when the test
// ends.
func (c *Cluster) Namespace(t testing.TB) string {
	t.Helper()
	made, err := c.Set.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: generated()}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Set.CoreV1().Namespaces().Delete(context.Background(), made.Name, metav1.DeleteOptions{}); err != nil {
			t.Errorf("delete namespace %s: %v", made.Name, err)
		}
	})
	Eventually(t, "the default service account", func() error {
		_, err := c.Set.CoreV1().ServiceAccounts(made.Name).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	return made.Name
}

// Account is a service account.
type Account struct {
	Name       string // system:serviceaccount:NAMESPACE:NAME
	Token      string
	Kubeconfig string // path of one that uses the token
}

// Account makes one in a namespace, with these rights in that namespace and no
// others.
func (c *Cluster) Account(t testing.TB, namespace string, rules ...rbacv1.PolicyRule) Account {
	t.Helper()
	made, err := c.Set.CoreV1().ServiceAccounts(namespace).Create(t.Context(),
		&corev1.ServiceAccount{ObjectMeta: generated()}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Set.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), made.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a := Account{
		Name:       fmt.Sprintf("system:serviceaccount:%s:%s", namespace, made.Name),
		Token:      answer.Status.Token,
		Kubeconfig: c.kubeconfigWith(t, c.Config.BearerToken, answer.Status.Token),
	}
	role, err := c.Set.RbacV1().Roles(namespace).Create(t.Context(), &rbacv1.Role{ObjectMeta: generated(), Rules: rules}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c.Grant(t, a, namespace, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name})
	return a
}

// Grant gives an account what a Role, or a ClusterRole, allows in a namespace; in
// the namespace "", what a ClusterRole allows everywhere.
func (c *Cluster) Grant(t testing.TB, a Account, namespace string, role rbacv1.RoleRef) {
	t.Helper()
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: a.Name}}
	var err error
	if namespace == "" {
		_, err = c.Set.RbacV1().ClusterRoleBindings().Create(t.Context(),
			&rbacv1.ClusterRoleBinding{ObjectMeta: generated(), Subjects: subjects, RoleRef: role}, metav1.CreateOptions{})
	} else {
		_, err = c.Set.RbacV1().RoleBindings(namespace).Create(t.Context(),
			&rbacv1.RoleBinding{ObjectMeta: generated(), Subjects: subjects, RoleRef: role}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	c.awaitGrant(t, a, namespace, role)
}

// awaitGrant waits until the API server, which keeps roles in a cache, knows.
func (c *Cluster) awaitGrant(t testing.TB, a Account, namespace string, role rbacv1.RoleRef) {
	t.Helper()
	rules := c.rules(t, namespace, role)
	if len(rules) == 0 {
		return
	}
	first := rules[0]
	resource, part, _ := strings.Cut(first.Resources[0], "/")
	question := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: a.Name, ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: first.Verbs[0], Group: first.APIGroups[0], Resource: resource, Subresource: part,
		},
	}}
	Eventually(t, "right of "+a.Name, func() error {
		answer, err := c.Set.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), question, metav1.CreateOptions{})
		if err == nil && !answer.Status.Allowed {
			err = fmt.Errorf("%v is not allowed", first)
		}
		return err
	})
}

func (c *Cluster) rules(t testing.TB, namespace string, role rbacv1.RoleRef) []rbacv1.PolicyRule {
	t.Helper()
	if role.Kind == "Role" {
		found, err := c.Set.RbacV1().Roles(namespace).Get(t.Context(), role.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return found.Rules
	}
	found, err := c.Set.RbacV1().ClusterRoles().Get(t.Context(), role.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return found.Rules
}

func generated() metav1.ObjectMeta { return metav1.ObjectMeta{GenerateName: "test-"} }

// Eventually waits for what the cluster does by itself within seconds.
func Eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	eventually(t.Context(), t, what, check)
}

func eventually(ctx context.Context, t testing.TB, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, fmt.Errorf("no %s within a minute", what))
	defer cancel()
	if err := child.Poll(ctx, 20*time.Millisecond, func(context.Context) error { return check() }); err != nil {
		t.Fatal(err)
	}
}
