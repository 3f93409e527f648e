package systemd

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

func TestPausesDouble(t *testing.T) {
	p := restartParams{Base: model.Duration(time.Second), Attempts: 5}
	if got := fmt.Sprint(p.pause(0), p.pause(1), p.pause(2), p.pause(3)); got != "1s 2s 4s 8s" {
		t.Errorf("the pauses are %s", got)
	}
}
