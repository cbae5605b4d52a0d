package shop

import (
	"os"
	"testing"
)

func TestAddsUp(t *testing.T) {}

func TestGivesADiscount(t *testing.T) {
	if price := 100 - 10; price != 80 {
		t.Fatalf("price is %d, want 80", price)
	}
}

func TestDivides(t *testing.T) {
	var order *struct{ total int }
	t.Run("by nothing", func(t *testing.T) {
		if order == nil {
			t.Error("no order")
		}
	})
}

func TestShipsToMars(t *testing.T) {
	t.Skip("not before spring")
}

func TestPaysTheSecondTime(t *testing.T) {
	if _, err := os.Stat("tried"); err != nil {
		os.WriteFile("tried", nil, 0o644)
		t.Fatal("the gateway was asleep")
	}
}
