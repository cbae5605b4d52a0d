package panics

import "testing"

func TestPanics(t *testing.T) {
	var order *struct{ total int }
	t.Log(order.total)
}
