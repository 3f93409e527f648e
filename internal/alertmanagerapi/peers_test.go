package alertmanagerapi

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/common/model"
)

func ours(serial string, starts time.Time) *models.PostableAlert {
	return &models.PostableAlert{
		Alert:    models.Alert{Labels: models.LabelSet{"alertname": "Ours", "serial": serial}},
		StartsAt: strfmt.DateTime(starts), EndsAt: strfmt.DateTime(starts.Add(time.Hour)),
	}
}

// gone is an Alertmanager that is not there.
func gone(t *testing.T) *Client {
	t.Helper()
	server := httptest.NewServer(nil)
	server.Close()
	client, err := Open(Config{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func fingerprint(a *models.PostableAlert) string {
	set := model.LabelSet{}
	for name, value := range a.Labels {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	return set.Fingerprint().String()
}

func fires(t *testing.T, p Peers, a *models.PostableAlert) bool {
	t.Helper()
	found, err := p.Fires(t.Context(), fingerprint(a))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAnAlertIsPostedToEach(t *testing.T) {
	one, other := start(t, "", nil), start(t, "", nil)
	both := Peers{{one, "one"}, {other, "other"}}
	a, another := ours("1", time.Now()), ours("2", time.Now())
	if err := one.PostAlert(t.Context(), another); err != nil {
		t.Fatal(err)
	}
	if fires(t, both, a) {
		t.Error("another alert of this name fires, and this one does not")
	}
	if missed, err := both.Post(t.Context(), a); missed != nil || err != nil {
		t.Fatal(missed, err)
	}
	for _, client := range []*Client{one, other} {
		if !fires(t, Peers{{client, "alone"}}, a) {
			t.Error("one of them has it not")
		}
	}
	// Our clock is ahead: the end is in their future.
	if err := both.Resolve(t.Context(), a, time.Now().Add(10*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if fires(t, both, a) {
		t.Error("it still fires")
	}
}

func TestOneAlertmanagerThatTookItIsEnough(t *testing.T) {
	here := start(t, "", nil)
	p := Peers{{gone(t), "away"}, {here, "here"}}
	a := ours("1", time.Now())
	missed, err := p.Post(t.Context(), a)
	if err != nil || missed == nil || !strings.Contains(missed.Error(), "alertmanager away: post an alert") || strings.Contains(missed.Error(), "here") {
		t.Errorf("missed %v, failed %v", missed, err)
	}
	if !fires(t, p, a) {
		t.Error("the other did not get it")
	}
	awaitFiring(t, here, "", nil, ": 1")
	groups, err := p.Firing(t.Context(), "", nil)
	if err != nil || len(groups) != 1 {
		t.Errorf("the first that lists something has %d groups, %v", len(groups), err)
	}
	// One that is no peer of it has other alerts.
	stranger := start(t, "", nil)
	if groups, err := (Peers{{stranger, "stranger"}, {here, "here"}}).Firing(t.Context(), "", nil); err != nil || len(groups) != 1 {
		t.Errorf("beside one that has none: %d groups, %v", len(groups), err)
	}
	if groups, err := (Peers{{stranger, "stranger"}, {gone(t), "away"}}).Firing(t.Context(), "", nil); err == nil || len(groups) > 0 {
		t.Errorf("beside one that is not there: %d groups, %v", len(groups), err)
	}
	// One that can not be told goes on notifying.
	if err := p.Resolve(t.Context(), a, time.Now()); err == nil || !strings.Contains(err.Error(), "alertmanager away") {
		t.Errorf("resolved: %v", err)
	}
	// That no one else has it is not known while one does not answer.
	if fires, err := p.Fires(t.Context(), fingerprint(a)); fires || err == nil {
		t.Errorf("fires %v, %v", fires, err)
	}
}

func TestNobodyTookIt(t *testing.T) {
	if _, err := (Peers{{gone(t), "one"}, {gone(t), "other"}}).Post(t.Context(), ours("1", time.Now())); err == nil ||
		!strings.Contains(err.Error(), "alertmanager one") || !strings.Contains(err.Error(), "alertmanager other") {
		t.Errorf("got %v", err)
	}
	if _, err := (Peers{}).Post(t.Context(), ours("1", time.Now())); !errors.Is(err, errNobody) {
		t.Errorf("without any: %v", err)
	}
	if _, err := (Peers{}).Firing(t.Context(), "", nil); !errors.Is(err, errNobody) {
		t.Errorf("without any: %v", err)
	}
	if _, err := (Peers{}).Fires(t.Context(), ""); !errors.Is(err, errNobody) {
		t.Errorf("without any: %v", err)
	}
}
