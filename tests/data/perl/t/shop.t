use strict;
use warnings;
use Test::More;
use Shop;

is(19 + 23, 42, 'adds up');
is(100 - 10, 80, 'gives a discount');
is(eval { Shop::divide(1, 0) } || $@, 0, 'divides');

SKIP: {
    skip 'not before spring', 1;
    ok(0, 'ships to mars');
}

TODO: {
    local $TODO = 'later';
    ok(0, 'wraps as a gift');
}

for my $currency (qw(EUR USD GBP)) {
    ok(Shop::rate($currency), 'converts') or diag("$currency rate missing");
}

subtest checkout => sub {
    ok(1, 'asks for a card');
    is('declined', 'accepted', 'charges it');
};

is_deeply([1, {a => 2}], [1, {a => 3}], 'a # sign and <angles> & more');
ok(0);

done_testing;
