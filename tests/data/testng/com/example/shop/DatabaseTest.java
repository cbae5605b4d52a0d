package com.example.shop;

import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

public class DatabaseTest {
    @BeforeClass
    public void connect() {
        throw new IllegalStateException("the database does not answer");
    }

    @Test
    public void storesTheOrder() {}

    @Test
    public void findsTheOrder() {}
}
