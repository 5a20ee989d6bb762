package countersign

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"google.golang.org/grpc/credentials"
)

// TLSFiles says whom the client trusts and who it is. There is no way to leave TLS out.
type TLSFiles struct {
	// CA is a PEM file of the authorities that the gateway's certificate must come from; empty means those of the
	// system. It is read once.
	CA string
	// Certificate and PrivateKey are PEM files of the client's certificate with its intermediates, and of its
	// unencrypted key; both or neither. They are read again for every new connection, so that a renewed certificate
	// is used without a restart.
	Certificate string
	PrivateKey  string
	// ServerName is the name that the gateway's certificate must hold, where it is not the host of the target.
	ServerName string
}

func (files TLSFiles) credentials() (credentials.TransportCredentials, error) {
	if (files.Certificate == "") != (files.PrivateKey == "") {
		return nil, errors.New("countersign: Certificate and PrivateKey belong together: give both or neither")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: files.ServerName}
	if files.CA != "" {
		pem, err := os.ReadFile(files.CA)
		if err != nil {
			return nil, fmt.Errorf("countersign: the CA: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("countersign: the CA: %s holds no PEM certificate", files.CA)
		}
	}
	if files.Certificate != "" {
		// What cannot be used is told at once, and not as a failed handshake later.
		if _, err := files.load(); err != nil {
			return nil, err
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return files.load()
		}
	}
	return credentials.NewTLS(config), nil
}

func (files TLSFiles) load() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("countersign: the client's certificate: %w", err)
	}
	return &pair, nil
}
