package halt

import (
	"context"

	"github.com/runbook-engine/runbook/internal/admission"
	"github.com/runbook-engine/runbook/internal/ledger"
)

// Through is the ledger's side of the switch, as a client of the ledger has it.
func Through(c *admission.Client) Shared {
	return Shared{
		Read: func(ctx context.Context) (Record, error) {
			b, err := c.Brief(ctx)
			return Record{Halt: b.Halt, Resumed: b.Resumed}, err
		},
		Apply: func(ctx context.Context, op ledger.Op) error {
			_, err := c.Apply(ctx, op)
			return err
		},
	}
}
