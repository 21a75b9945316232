package db_test

import (
	"fmt"
	"testing"
)

// Sign-ins of 20 tenants in a closed loop. rows/batch tells how well commits are
// shared; at one worker there is nothing to share.
func BenchmarkSignIn(b *testing.B) {
	const tenants, people = 20, 20
	f := newFixture(b)
	store := f.running(b)
	type signer struct {
		person
		count uint32
	}
	free := make(chan *signer, tenants*people)
	for range tenants {
		sc := f.tenant(b)
		for range people {
			free <- &signer{person: f.person(b, sc)}
		}
	}
	for _, workers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			before := store.SignInStats()
			next := make(chan struct{})
			b.ReportAllocs()
			b.ResetTimer()
			done := make(chan error, workers)
			for range workers {
				go func() {
					var err error
					for range next {
						who := <-free
						who.count++
						if out, e := store.SignIn(b.Context(), who.sc, who.signIn(who.count)); e != nil || !out.Accepted {
							err = fmt.Errorf("SignIn = %+v, %w", out, e)
						}
						free <- who
					}
					done <- err
				}()
			}
			for range b.N {
				next <- struct{}{}
			}
			close(next)
			for range workers {
				if err := <-done; err != nil {
					b.Error(err)
				}
			}
			b.StopTimer()
			after := store.SignInStats()
			b.ReportMetric(float64(after.Rows-before.Rows)/float64(after.Batches-before.Batches), "rows/batch")
		})
	}
}
