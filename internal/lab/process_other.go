//go:build !unix

package lab

import (
	"errors"
	"os/exec"
	"syscall"
)

func startChild(*exec.Cmd, *account, syscall.Signal) (unwatch func(), err error) {
	return nil, errors.New("the lab needs Linux or macOS; docker-compose.yml describes the same environment in containers")
}
