package process

import (
	"sync"
	"testing"
)

func TestTwoWriteTheSameNoteAtATime(t *testing.T) {
	ns := notes{Dir: t.TempDir()}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				if err := ns.write(note{ID: "gd-1.stop"}, healedNote); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if n, err := ns.read("gd-1.stop", healedNote); err != nil || n == nil || n.ID != "gd-1.stop" {
		t.Errorf("%v, %v", n, err)
	}
}
