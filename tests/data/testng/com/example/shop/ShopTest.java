package com.example.shop;

import static org.testng.Assert.assertEquals;

import org.testng.IRetryAnalyzer;
import org.testng.ITestResult;
import org.testng.SkipException;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class ShopTest {
    private static int tries;

    public static class Again implements IRetryAnalyzer {
        private int runs;

        @Override
        public boolean retry(ITestResult result) {
            return runs++ < 1;
        }
    }

    @Test
    public void addsUp() {
        assertEquals(19 + 23, 42);
    }

    @Test
    public void givesADiscount() {
        assertEquals(100 - 10, 80, "the discount is <wrong> & more");
    }

    @Test
    public void divides() {
        throw new ArithmeticException("/ by zero");
    }

    @Test
    public void shipsToMars() {
        throw new SkipException("not before spring");
    }

    @Test(dependsOnMethods = "divides")
    public void divideTheRest() {}

    @DataProvider
    public Object[][] currencies() {
        return new Object[][] {{"EUR"}, {"USD"}, {"GBP"}};
    }

    @Test(dataProvider = "currencies")
    public void converts(String currency) {
        assertEquals(currency.equals("USD"), false, currency + " rate missing");
    }

    @Test(retryAnalyzer = Again.class)
    public void paysTheSecondTime() {
        assertEquals(++tries, 2, "the gateway was asleep");
    }

    @Test(retryAnalyzer = Again.class)
    public void neverPays() {
        assertEquals("declined", "accepted");
    }
}
