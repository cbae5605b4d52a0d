#include <gtest/gtest.h>

TEST(Stock, AddsUp) { EXPECT_EQ(1 + 2, 4); }
