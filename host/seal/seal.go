// Package seal encrypts what the host stores and must be able to read again:
// requests with their Authorization headers, and tenants' settings.
//
// The key file holds a Tink keyset (AES-256-GCM) in clear JSON, so whoever can
// read the file can read the database: keep the two apart in backups. A keyset
// may have several keys. The primary one seals; all of them unseal, as each
// sealed text names its key. Rotate adds a key and makes it the primary one, so
// nothing has to be encrypted again; this version has no command that calls it.
//
// What is sealed is bound to its associated data, by which the caller says what
// it is for: with the tenant and the purpose in it, a text sealed for one tenant
// does not open as another's, nor a request as settings.
package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// ErrUnseal is in the chain of every error of Unseal: the text was changed, or
// was sealed with another key or other associated data. Which one it was cannot
// be told.
var ErrUnseal = errors.New("not sealed with a key of this key file for this purpose, or damaged")

// Sealer seals and unseals with the keys of one key file, as they were when it was
// opened. Its methods may be called concurrently.
type Sealer struct {
	aead        tink.AEAD
	fingerprint string
}

// Seal encrypts plaintext, bound to the associated data. Two seals of the same
// text differ.
func (s *Sealer) Seal(plaintext, associatedData []byte) ([]byte, error) {
	sealed, err := s.aead.Encrypt(plaintext, associatedData)
	if err != nil {
		return nil, errors.New("seal: the cipher refused") // no cause: it may quote what it was given
	}
	return sealed, nil
}

// Unseal decrypts what Seal returned for the same associated data. Its errors are
// ErrUnseal and hold nothing of the text.
func (s *Sealer) Unseal(sealed, associatedData []byte) ([]byte, error) {
	plaintext, err := s.aead.Decrypt(sealed, associatedData)
	if err != nil {
		return nil, fmt.Errorf("unseal %d bytes: %w", len(sealed), ErrUnseal)
	}
	return plaintext, nil
}

// Fingerprint returns an ID of the key file that tells nothing about its keys: 32
// hexadecimal digits. It is made of the first key alone, so it stays the same
// when keys are added by Rotate, and differs for key files made independently.
func (s *Sealer) Fingerprint() string { return s.fingerprint }

// parse makes a Sealer of a key file's content. Its errors say nothing of the
// content: a JSON decoder's would quote it.
func parse(content []byte) (*Sealer, *keyset.Handle, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(content)))
	if err != nil {
		return nil, nil, errors.New("the content is no Tink keyset in JSON")
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, nil, errors.New("the keyset is not one for authenticated encryption (AEAD)")
	}
	first := insecurecleartextkeyset.KeysetMaterial(handle).GetKey()[0]
	material := binary.BigEndian.AppendUint32([]byte("patchbay key file 1\x00"), first.GetKeyId())
	sum := sha256.Sum256(append(material, first.GetKeyData().GetValue()...))
	return &Sealer{aead: primitive, fingerprint: hex.EncodeToString(sum[:16])}, handle, nil
}

// withNewKey returns the content of a key file with one more key, which is the
// primary one. A nil handle stands for no keys yet.
func withNewKey(handle *keyset.Handle) ([]byte, error) {
	manager := keyset.NewManager()
	if handle != nil {
		manager = keyset.NewManagerFromHandle(handle)
	}
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, errors.New("make a key")
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, errors.New("make the new key the primary one")
	}
	handle, err = manager.Handle()
	if err != nil {
		return nil, errors.New("make a keyset")
	}
	var content bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&content)); err != nil {
		return nil, errors.New("write the keyset as JSON")
	}
	return content.Bytes(), nil
}
