#!/usr/bin/perl
# Opens a TAP (or with --tun a TUN) device and becomes the program that follows, which finds the descriptor's number in TAP_FD,
# and wherever its arguments say $TAP_FD:
#   perl launch.pl tap0 node program.js --link 'fd:$TAP_FD'
use strict;
use warnings;
use Fcntl;

my ($TUNSETIFF, $IFF_TUN, $IFF_TAP, $IFF_NO_PI) = (0x400454ca, 1, 2, 0x1000);
my $mode = $IFF_TAP;
if (@ARGV && $ARGV[0] eq '--tun') { $mode = $IFF_TUN; shift @ARGV }
die "usage: launch.pl [--tun] NAME PROGRAM [ARGUMENT ...]\n" if @ARGV < 2;
my $name = shift @ARGV;
$^F = 255;    # descriptors up to here survive exec
sysopen(my $tap, '/dev/net/tun', O_RDWR | O_NONBLOCK) or die "/dev/net/tun: $!\n";
my $request = pack('a16 S x22', $name, $mode | $IFF_NO_PI);
ioctl($tap, $TUNSETIFF, $request) or die "$name: $!\n";
$ENV{TAP_FD} = fileno($tap);
s/\$TAP_FD\b/$ENV{TAP_FD}/g for @ARGV;
exec { $ARGV[0] } @ARGV or die "$ARGV[0]: $!\n";
