// Package process keeps hold of other processes without mistaking one for
// another: a process is named by its number and the time that it started, and
// is only signalled through a descriptor (pidfd) that was checked against both.
// It also has the file lock by which processes exclude each other.
//
// Like all of hostlink it makes system calls; it has no state of its own.
package process
