package cluster

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// lookEvery is how often something is looked at that takes a while.
const lookEvery = 500 * time.Millisecond

// Pause waits, or gives the error of the context when that ends first.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Await looks until something is so, or the time is over; then it is not so.
func Await(ctx context.Context, within time.Duration, look func() (done bool, err error)) (done bool, err error) {
	deadline := time.Now().Add(within)
	for {
		if done, err := look(); done || err != nil {
			return done, err
		}
		left := time.Until(deadline)
		if left <= 0 {
			return false, nil
		}
		if err := Pause(ctx, min(left, lookEvery)); err != nil {
			return false, err
		}
	}
}

// Causes are what an answer of the API says in detail.
func Causes(err error) (text string) {
	var answered apierrors.APIStatus
	if !errors.As(err, &answered) || answered.Status().Details == nil {
		return ""
	}
	for _, cause := range answered.Status().Details.Causes {
		text += " (" + cause.Message + ")"
	}
	return text
}
