//go:build !unix

package process

import (
	"errors"
	"os"
)

// No process is ever signalled here: none is found.
var (
	signalStop     = os.Kill
	signalContinue = os.Kill
	signals        = map[string]os.Signal{"KILL": os.Kill}
)

func private(string) error { return errors.New("faults on processes need Linux") }
