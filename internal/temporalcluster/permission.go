package temporalcluster

import (
	"errors"
	"strings"

	"go.temporal.io/api/serviceerror"
)

// PermissionError says what an administrator of the cluster has to do, because our identity may not.
type PermissionError struct {
	// Need is the change that was refused.
	Need string
	// Commands make the change with the Temporal CLI.
	Commands []string
	Err      error
}

func (e *PermissionError) Error() string {
	return e.Need + " is not permitted to this identity: " + e.Err.Error() +
		"; have an administrator of the cluster run:\n  " + strings.Join(e.Commands, "\n  ")
}

func (e *PermissionError) Unwrap() error { return e.Err }

// denied also covers servers that offer the call to nobody, as hosted ones do.
func denied(err error) bool {
	var permission *serviceerror.PermissionDenied
	var unimplemented *serviceerror.Unimplemented
	return errors.As(err, &permission) || errors.As(err, &unimplemented)
}
