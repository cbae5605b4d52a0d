use strict;
use warnings;
use Test::More tests => 3;

is(1 + 2, 4, 'adds up');
ok(1, 'counts');
die "the shelf is shut\n";
