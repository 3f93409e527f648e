//go:build !noembedded

package temporalserver

import (
	"log/slog"

	sdklog "go.temporal.io/sdk/log"
)

var discardSDKLog = sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))
