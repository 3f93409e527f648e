//go:build !unix

package child

import (
	"errors"
	"os/exec"
	"syscall"
)

func startChild(*exec.Cmd, *Account, syscall.Signal) (unwatch func(), err error) {
	return nil, errors.New("the lab needs Linux or macOS; docker-compose.yml describes the same environment in containers")
}
