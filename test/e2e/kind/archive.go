package main

// Images as `docker load` and `ctr images import` read them: an archive of one
// layer, its configuration and a manifest that names both.

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
)

// archive writes an image of one layer to the file out, put in place by rename.
func archive(out, name string, entrypoint, env []string, t tree) error {
	layer, err := os.CreateTemp("", "kind-layer-")
	if err != nil {
		return err
	}
	defer os.Remove(layer.Name())
	defer layer.Close()
	sum := sha256.New()
	if err := t.write(io.MultiWriter(layer, sum)); err != nil {
		return err
	}
	id := hex.EncodeToString(sum.Sum(nil))

	type object = map[string]any
	config, err := json.Marshal(object{
		"architecture": "amd64", "os": "linux", "created": "1970-01-01T00:00:00Z",
		"config":  object{"Env": env, "Entrypoint": entrypoint},
		"rootfs":  object{"type": "layers", "diff_ids": []string{"sha256:" + id}},
		"history": []object{{"created": "1970-01-01T00:00:00Z"}},
	})
	if err != nil {
		return err
	}
	configSum := sha256.Sum256(config)
	configName := hex.EncodeToString(configSum[:]) + ".json"
	manifest, err := json.Marshal([]object{{"Config": configName, "RepoTags": []string{name}, "Layers": []string{id + "/layer.tar"}}})
	if err != nil {
		return err
	}

	f, err := os.Create(out + ".new")
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := layer.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := layer.Seek(0, io.SeekStart); err != nil {
		return err
	}
	tw := tar.NewWriter(f)
	for _, part := range []struct {
		name string
		size int64
		from io.Reader
	}{
		{"manifest.json", int64(len(manifest)), bytes.NewReader(manifest)},
		{configName, int64(len(config)), bytes.NewReader(config)},
		{id + "/layer.tar", size, layer},
	} {
		if err := tw.WriteHeader(&tar.Header{Name: part.name, Mode: 0o644, Size: part.size, Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		if _, err := io.CopyN(tw, part.from, part.size); err != nil {
			return err
		}
	}
	if err := tw.Close(); err != nil {
		return err
	}
	return os.Rename(out+".new", out)
}
