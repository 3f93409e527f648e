// Command runbook is the engine and its terminal.
package main

import "os"

func main() { os.Exit(runProgram(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)) }
