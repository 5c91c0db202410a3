// Command probe is the Go program of the tests' pods: a server, and questions
// that a shell cannot ask.
package main

func main() {}
