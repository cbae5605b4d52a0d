package com.example.shop;

import static org.testng.Assert.assertEquals;

import org.testng.annotations.Test;

public class StockTest {
    @Test
    public void addsUp() {
        assertEquals(1 + 2, 4);
    }
}
