package Shop;
use strict;
use warnings;

my %rates = (EUR => 1, GBP => 0.85);

sub rate { $rates{$_[0]} }
sub divide { $_[0] / $_[1] }

1;
