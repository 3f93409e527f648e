package admission_test

import (
	"errors"

	"github.com/runbook-engine/runbook/internal/admission"
)

const childEnv = "ADMISSION_TEST_CHILD"

func child() int { return 0 }

func isLost(err error) bool { return errors.Is(err, admission.ErrLost) }
