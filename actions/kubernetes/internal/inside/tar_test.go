package inside

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions"
)

func archived(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, h := range headers {
		h.Mode = 0o600
		if h.Typeflag == tar.TypeReg {
			h.Size = 4
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte("dump")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

// What is in a container may be an attacker's.
func TestOnlyTheFileThatWasAskedForIsTakenFromAnArchive(t *testing.T) {
	file := tar.Header{Typeflag: tar.TypeReg, Name: "./heap"}
	for name, c := range map[string]struct {
		headers []tar.Header
		says    string
	}{
		"the file":           {[]tar.Header{file}, ""},
		"up":                 {[]tar.Header{{Typeflag: tar.TypeReg, Name: "../heap"}}, `tar gave "../heap"`},
		"up and down":        {[]tar.Header{{Typeflag: tar.TypeReg, Name: "x/../../heap"}}, "instead of heap"},
		"absolute":           {[]tar.Header{{Typeflag: tar.TypeReg, Name: "/heap"}}, "instead of heap"},
		"below":              {[]tar.Header{{Typeflag: tar.TypeReg, Name: "heap/heap"}}, "instead of heap"},
		"another":            {[]tar.Header{{Typeflag: tar.TypeReg, Name: "./passwd"}}, "instead of heap"},
		"a link":             {[]tar.Header{{Typeflag: tar.TypeSymlink, Name: "./heap", Linkname: "/etc/passwd"}}, "no regular file"},
		"a hard link":        {[]tar.Header{{Typeflag: tar.TypeLink, Name: "./heap", Linkname: "/etc/passwd"}}, "no regular file"},
		"a device":           {[]tar.Header{{Typeflag: tar.TypeChar, Name: "./heap"}}, "no regular file"},
		"a folder":           {[]tar.Header{{Typeflag: tar.TypeDir, Name: "./heap"}}, "no regular file"},
		"a second file":      {[]tar.Header{file, {Typeflag: tar.TypeReg, Name: "../x"}}, `also gave "../x"`},
		"the same once more": {[]tar.Header{file, file}, "also gave"},
	} {
		text, err := io.ReadAll(only(bytes.NewReader(archived(t, c.headers...)), "heap"))
		if c.says == "" && (err != nil || string(text) != "dump") {
			t.Errorf("%s gives %q, %v", name, text, err)
		}
		if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || actions.ClassOf(err) != actions.ClassPermanent) {
			t.Errorf("%s gives %v, want …%s…", name, err, c.says)
		}
	}
}

func TestAFileThatIsCutIsAnErrorWhereverItIsCut(t *testing.T) {
	whole := archived(t, tar.Header{Typeflag: tar.TypeReg, Name: "./heap"})
	const header, content = 512, 4 // what follows is padding
	for n := range header + content {
		if text, err := io.ReadAll(only(bytes.NewReader(whole[:n]), "heap")); err == nil {
			t.Errorf("%d bytes give %q", n, text)
		}
	}
}
