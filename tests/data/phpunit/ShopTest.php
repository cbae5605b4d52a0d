<?php

use PHPUnit\Framework\TestCase;

final class ShopTest extends TestCase
{
    public function testAddsUp(): void
    {
        $this->assertSame(42, 19 + 23);
    }

    public function testGivesADiscount(): void
    {
        $this->assertSame(80, 100 - 10, 'the discount is wrong');
    }

    public function testDivides(): void
    {
        intdiv(1, 0);
    }

    public function testShipsToMars(): void
    {
        $this->markTestSkipped('not before spring');
    }

    /** @dataProvider currencies */
    public function testKnowsCurrency(string $currency): void
    {
        $this->assertSame('EUR', $currency);
    }

    public static function currencies(): array
    {
        return ['euro' => ['EUR'], 'dollar' => ['USD']];
    }
}
