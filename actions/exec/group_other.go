//go:build !unix

package exec

import "os/exec"

// Without process groups only the command itself is ended, which is what
// exec.CommandContext does.
func endWithGroup(*exec.Cmd) {}

func killGroup(*exec.Cmd) {}
