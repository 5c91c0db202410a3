package hostlink

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/tcpcni/tcpcni/test/needroot"
)

// surveyRole makes the test binary a process under the filter that has a socket;
// with the value "free" it has no filter.
const surveyRole = "TCPCNI_HOSTLINK_TEST_SURVEY"

func init() {
	role := os.Getenv(surveyRole)
	if role == "" {
		return
	}
	if role != "free" {
		if err := underFilter(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	_, p, _ := NewPair(PairStream, false)
	inode, _ := SocketInode(p)
	fmt.Println(inode)
	_, _ = os.Stdin.Read(make([]byte, 1))
	os.Exit(0)
}

// startOwner starts such a process and returns its socket's inode.
func startOwner(t *testing.T, role string) (inode uint64) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), surveyRole+"="+role)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	if _, err := fmt.Fscan(out, &inode); err != nil {
		t.Fatal(err)
	}
	return inode
}

// A survey finds sockets of tasks that nobody has asked for, and of the sandbox's
// tasks only.
func TestSurvey(t *testing.T) {
	needroot.Check(t, "install filters")
	m, err := NewMembers("")
	if err != nil {
		t.Fatal(err)
	}
	mine, others := startOwner(t, "filtered"), startOwner(t, "free")
	find := func(inode uint64) bool {
		fd, ok := m.FindSocket(inode)
		if ok {
			if got, _ := SocketInode(fd); got != inode {
				t.Errorf("found socket %d, want %d", got, inode)
			}
			CloseFD(fd)
		}
		return ok
	}
	if find(mine) {
		t.Error("found before a survey")
	}
	m.Survey()
	if !find(mine) {
		t.Error("not found by a survey")
	}
	if find(others) {
		t.Error("found in a process that is not the sandbox's")
	}
	m.EndSurvey()
	if find(mine) {
		t.Error("found after the survey's end")
	}
}
