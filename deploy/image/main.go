// Command image makes the container image of tcpcni from its static binaries,
// as an archive that `docker load`, `ctr images import` and `kind load
// image-archive` take. There is no base image, no registry and no container
// engine involved, and equal binaries make equal images.
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// binDir is where the binaries are in the image.
const binDir = "usr/local/bin"

func main() {
	tag := flag.String("tag", "localhost/tcpcni:dev", "name of the image")
	out := flag.String("o", "bin/tcpcni-image.tar", "archive to write")
	flag.Parse()
	if err := run(*tag, *out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(tag, out string, binaries []string) error {
	if len(binaries) == 0 {
		return fmt.Errorf("accepted: the paths of the binaries")
	}
	ref, err := name.NewTag(tag)
	if err != nil {
		return fmt.Errorf("-tag: %w", err)
	}
	files, err := layer(binaries)
	if err != nil {
		return err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files)), nil
	})
	if err != nil {
		return err
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return err
	}
	img, err = mutate.ConfigFile(img, config(img))
	if err != nil {
		return err
	}
	return tarball.WriteToFile(out, ref, img)
}

// config says what runs when nothing else is asked for. The error of ConfigFile
// cannot happen for an image that was just put together.
func config(img v1.Image) *v1.ConfigFile {
	c, _ := img.ConfigFile()
	c = c.DeepCopy()
	c.Architecture, c.OS = "amd64", "linux"
	c.Config.Entrypoint = []string{"/" + binDir + "/tcpcni"}
	c.Config.Env = []string{"PATH=/" + binDir}
	return c
}

// layer is the file system of the image as a tar archive.
func layer(binaries []string) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	dir := func(name string) error {
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755})
	}
	for _, d := range []string{"etc", "etc/tcpcni", "run", "tmp", "usr", "usr/local", binDir, "var"} {
		if err := dir(d); err != nil {
			return nil, err
		}
	}
	// Container runtimes name namespaces below /var/run.
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "var/run", Linkname: "/run", Mode: 0o777})
	if err != nil {
		return nil, err
	}
	for _, path := range binaries {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: binDir + "/" + filepath.Base(path), Mode: 0o755, Size: int64(len(b))}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(b); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return buf.Bytes(), err
}
