#include <catch2/catch.hpp>

TEST_CASE("adds up to four", "[stock]") { CHECK(1 + 2 == 4); }
