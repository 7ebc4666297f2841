// Copyright: (c) 2026, umbra contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// A WinRM client that is not written in Python: runs commands on a host with github.com/masterzen/winrm and prints
// what came of them as one line of JSON. The request is one JSON object on standard input.
package main

import (
	"encoding/json"
	"fmt"
	"io/ioutil"
	"os"
	"time"

	"github.com/masterzen/winrm"
)

type request struct {
	Address  string
	Port     int
	HTTPS    bool
	Auth     string // basic, ntlm or certificate
	User     string
	Password string
	CA       string // files
	Cert     string
	Key      string
	Commands []string
}

type outcome struct {
	Out   string `json:"out"`
	Err   string `json:"err"`
	Code  int    `json:"code"`
	Error string `json:"error"`
}

func main() {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	results := []outcome{}
	client, err := connect(asked)
	if err != nil {
		results = append(results, outcome{Error: err.Error(), Code: -1})
	} else {
		for _, command := range asked.Commands {
			results = append(results, run(client, command))
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		os.Exit(2)
	}
}

func run(client *winrm.Client, command string) outcome {
	out, errors, code, err := client.RunWithString(command, "")
	result := outcome{Out: out, Err: errors, Code: code}
	if err != nil {
		result.Error = err.Error()
	}
	return result
}

func connect(asked request) (*winrm.Client, error) {
	endpoint := winrm.NewEndpoint(asked.Address, asked.Port, asked.HTTPS, false, read(asked.CA), read(asked.Cert),
		read(asked.Key), 30*time.Second)
	parameters := *winrm.DefaultParameters
	switch asked.Auth {
	case "basic":
	case "ntlm":
		parameters.TransportDecorator = func() winrm.Transporter { return &winrm.ClientNTLM{} }
	case "certificate":
		parameters.TransportDecorator = func() winrm.Transporter { return &winrm.ClientAuthRequest{} }
	default:
		return nil, fmt.Errorf("this client has no authentication %q", asked.Auth)
	}
	return winrm.NewClientWithParameters(endpoint, asked.User, asked.Password, &parameters)
}

func read(path string) []byte {
	if path == "" {
		return nil
	}
	content, err := ioutil.ReadFile(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return content
}
