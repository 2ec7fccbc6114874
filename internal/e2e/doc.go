// Package e2e proves with real processes what no single package can: that the
// program starts and stops as it says, and that killing nodes and Postgres in
// the middle of everything loses nothing that was acknowledged and answers
// nothing twice. It holds tests only.
package e2e
