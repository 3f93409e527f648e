package engine

import (
	"cmp"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/artefact"
)

// Artefacts says where captures are kept.
type Artefacts struct {
	Dir      Path                   `json:"dir,omitempty" optional:"true" doc:"Folder of its own for captures. Without it and s3, artefacts in data_dir."`
	S3       *artefact.BucketConfig `json:"s3,omitempty" optional:"true" doc:"A bucket of an S3 server, instead of a folder."`
	MaxSize  int                    `json:"max_size" default:"1073741824" min:"1024" max:"5368709120" doc:"Largest capture, in bytes; a larger one fails."`
	MaxAge   model.Duration         `json:"max_age" default:"30d" min:"1h" doc:"Captures in the folder are removed when they are older."`
	MaxTotal int                    `json:"max_total" default:"21474836480" min:"1024" doc:"The oldest captures in the folder are removed while all together are larger, in bytes."`
}

func (a Artefacts) check() error {
	if a.Dir != "" && a.S3 != nil {
		return errors.New("artefacts.dir and artefacts.s3 exclude each other")
	}
	return nil
}

// store keeps captures until it is closed.
type store interface {
	actions.Artefacts
	Close() error
}

func (e *Engine) openArtefacts() error {
	a := e.config.Artefacts
	if a.S3 != nil {
		e.artefacts = artefact.OpenBucket(*a.S3, int64(a.MaxSize))
	} else {
		dir, err := a.openDirectory(string(e.config.DataDir), e.log)
		if err != nil {
			return err
		}
		e.artefacts = dir
	}
	e.conns.KeepArtefacts(e.artefacts)
	return nil
}

func (a Artefacts) openDirectory(data string, log *slog.Logger) (*artefact.Directory, error) {
	return artefact.OpenDirectory(cmp.Or(string(a.Dir), filepath.Join(data, "artefacts")), artefact.Limits{
		MaxSize: int64(a.MaxSize), MaxTotal: int64(a.MaxTotal), MaxAge: time.Duration(a.MaxAge),
	}, log)
}
