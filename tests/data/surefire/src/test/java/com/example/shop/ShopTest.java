package com.example.shop;

import static org.junit.Assert.assertEquals;

import org.junit.Ignore;
import org.junit.Test;

public class ShopTest {
    private static int tries;

    @Test
    public void addsUp() {
        assertEquals(42, 19 + 23);
    }

    @Test
    public void givesADiscount() {
        assertEquals("the discount is wrong", 80, 100 - 10);
    }

    @Test
    public void divides() {
        throw new ArithmeticException("/ by zero");
    }

    @Test
    @Ignore("not before spring")
    public void shipsToMars() {}

    @Test
    public void paysTheSecondTime() {
        tries++;
        assertEquals("the gateway was asleep", 2, tries);
    }
}
