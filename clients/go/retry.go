package countersign

import (
	"errors"
	"math"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
)

// RetryPolicy bounds the repetition of a call that is safe to repeat.
//
// A call is repeated where it failed with UNAVAILABLE, or with RESOURCE_EXHAUSTED and a RetryInfo, and never past its
// deadline. The pause before attempt n+1 is drawn evenly between 0 and InitialBackoff * Multiplier^(n-1), at most
// MaxBackoff, so that clients which failed together do not come back together. A RetryInfo is waited for in full, the
// drawn pause added.
type RetryPolicy struct {
	MaxAttempts    int // calls in all; 1 turns repetition off
	InitialBackoff time.Duration
	MaxBackoff     time.Duration
	Multiplier     float64
}

// DefaultRetryPolicy is used where [Config] names none; it is that of the Python client.
var DefaultRetryPolicy = RetryPolicy{
	MaxAttempts:    4,
	InitialBackoff: 100 * time.Millisecond,
	MaxBackoff:     2 * time.Second,
	Multiplier:     2,
}

func (policy RetryPolicy) validate() error {
	switch {
	case policy.MaxAttempts < 1:
		return errors.New("countersign: MaxAttempts must be at least 1")
	case policy.InitialBackoff <= 0 || policy.InitialBackoff > policy.MaxBackoff:
		return errors.New("countersign: InitialBackoff must be above 0 and not above MaxBackoff")
	case policy.Multiplier < 1:
		return errors.New("countersign: Multiplier must be at least 1")
	}
	return nil
}

// pauseAfter returns how long to wait after failed attempt number attempt (from 1), and false where err is final.
func (policy RetryPolicy) pauseAfter(attempt int, err *Error, remaining time.Duration) (time.Duration, bool) {
	if attempt >= policy.MaxAttempts || !temporary(err) {
		return 0, false
	}
	longest := float64(policy.InitialBackoff) * math.Pow(policy.Multiplier, float64(attempt-1))
	pause := time.Duration(rand.Float64() * math.Min(longest, float64(policy.MaxBackoff)))
	if err.RetryAfter != nil {
		pause += max(0, *err.RetryAfter)
	}
	return pause, pause < remaining
}

func temporary(err *Error) bool {
	if err.Code == codes.ResourceExhausted {
		return err.RetryAfter != nil
	}
	return err.Code == codes.Unavailable
}
