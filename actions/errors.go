package actions

import "errors"

// Class says what a failure means for a retry.
type Class string

// The classes of failures.
const (
	// ClassTransient may succeed when tried again: the default.
	ClassTransient Class = "transient"
	// ClassPermanent fails again however often it is tried: a wrong name, a
	// missing right.
	ClassPermanent Class = "permanent"
	// ClassAmbiguous may have happened: the answer was lost after the request
	// was sent.
	ClassAmbiguous Class = "ambiguous"
)

type classified struct {
	class Class
	err   error
}

func (c *classified) Error() string { return c.err.Error() }
func (c *classified) Unwrap() error { return c.err }

// Permanent marks a failure that a retry does not mend.
func Permanent(err error) error { return &classified{ClassPermanent, err} }

// Ambiguous marks a failure after which nobody knows whether it happened.
func Ambiguous(err error) error { return &classified{ClassAmbiguous, err} }

// ClassOf is how the failure was marked; the outermost mark counts.
func ClassOf(err error) Class {
	var c *classified
	if errors.As(err, &c) {
		return c.class
	}
	return ClassTransient
}
