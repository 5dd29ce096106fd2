# The device's half of a session, for any POSIX shell. It comes by standard input as one line, is evaluated,
# and then answers requests until its input ends. Names never enter a command line of this shell: they come as
# counted bytes, NUL-terminated, and go to xargs. Lines that begin with # are removed before it is sent.
LC_ALL=C
export LC_ALL
unset CDPATH IFS digest digests leases
# All replies go to descriptor 3, wherever the output of a part of the script goes.
exec 3>&1

# The tag: 16 random bytes in two halves. A shell that only echoes cannot join them, and no name on the device
# contains them.
read -r first_half
read -r second_half
tag=$first_half$second_half
printf '\n%s ready\n' "$tag"

fact() { printf '%s %s\n' "$tag" "$*"; }
take() { dd bs="$1" count=1 iflag=fullblock 2>/dev/null; }

digests_well() {
    case $(printf abc | "$@" 2>/dev/null) in
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad "*) ;;
    *) return 1 ;;
    esac
}

facts() {
    { read -r boot_id </proc/sys/kernel/random/boot_id; } 2>/dev/null && fact boot "$boot_id"
    { read -r uptime idle </proc/uptime; } 2>/dev/null && fact uptime "$uptime"
    fact user "$(id -u 2>/dev/null </dev/null)"
    fact find "$(find / -maxdepth 0 -printf '%y %D %i %s %T@ %C@ %U' 2>/dev/null </dev/null)"
    status=$(printf '/\0' | take 2 | xargs -0 stat --printf '%d %i %s %.9Y %.9Z %u %f' -- 2>/dev/null)
    if [ -n "$status" ]; then
        fact stat "$status"
        records=nul
    else
        fact plain_stat "$(printf '/\0' | take 2 | xargs -0 stat -c '%d %i %s %Y %Z %u %f' 2>/dev/null)"
        fact plain_find "$(find / -maxdepth 0 -exec stat -c '%d %i %s %Y %Z %u %f' {} + 2>/dev/null </dev/null)"
        records=tag
    fi
    if digests_well sha256sum; then
        digests=sha256sum
        if command -v openssl >/dev/null 2>&1; then digests=either; fi
    elif digests_well openssl dgst -sha256 -r; then digests=openssl
    fi
    fact digests "$digests"
    case $(perl -e 'print rename("", "") ? "bad" : "good";
        exit unless eval { require Fcntl; require Errno };
        open $status, "<", "/proc/self/status"; $any = grep /^CapEff:\s*\S*?(\S{1,8})$/ && hex($1) >> 28 & 1, <$status>;
        print $any ? " any" : " own"' \
        2>/dev/null </dev/null) in
    "good any")
        fact perl
        fact leases any
        leases=leases
        ;;
    "good own")
        fact perl
        fact leases own
        leases=leases
        ;;
    good) fact perl ;;
    esac
    read -r sources
    while [ "$sources" -gt 0 ]; do
        IFS= read -r source
        fact disk "$(df -P -k "$source" 2>/dev/null </dev/null | {
            read -r header
            IFS= read -r line
            printf %s "$line"
        })"
        fact folder "$(stat -L -c '%d %i %Y' "$source" 2>/dev/null </dev/null)"
        sources=$((sources - 1))
    done
    # Last, so that little time passes between reading the clock and reporting it.
    fact clock "$(date +%s.%N 2>/dev/null </dev/null)"
}

# A second run of this script on the same connection receives the facts that the first has found out.
read -r records leases digests
[ "$records" != unknown ] || facts
fact end
case $records in
nul) end_of_record='\0' ;;
*) end_of_record='\n'"$tag"'\n' ;;
esac

# openssl is the faster of the two, but takes longer to start than any other tool. So it is tested only when
# there is something to digest.
choose_digest() {
    [ -z "$digest" ] || return 0
    case $digests in
    openssl) digest='openssl dgst -sha256 -r' ;;
    either) if digests_well openssl dgst -sha256 -r; then digest='openssl dgst -sha256 -r'; else digest=sha256sum; fi ;;
    *) digest=$digests ;;
    esac
    export digest
}

# --- Open files ---
#
# Lists the files that are open for writing: the mode of a link in fd says so, and stat through it says which
# file it is. Then the writable shared mappings, and which numbers in them are those of file systems in
# memory.
#
# The last record is "w", if the scan was complete: then a file that it does not name is closed. Every tool
# must have ended well, with no error except that a process ended. No process may be hidden in another PID
# namespace (the number below is the first one's). Each thread is scanned: it may have files of its own, and
# its leader may have ended.
if [ "$end_of_record" = '\0' ]; then
    look_through='stat -L --printf "o %d %i %f\0" -- "$@"; [ $? -le 1 ]'
else
    look_through='stat -L -c "o %d %i %f
$tag" -- "$@"; [ $? -le 1 ]'
fi
# File systems that can be written to other than through this kernel, or through this mount of it.
others='s/^[^ ]* [^ ]* \([^ ]*\) .* - \(fuse\|fuse\.[^ ]*\|virtiofs\|9p\|nfs4*\|cifs\|smb3\|afs\|ceph\|lustre\|gfs2\|ocfs2\) .*/other \1/p'
open_files='
ended=$({
    {
        find /proc/[0-9]*/task/[0-9]*/fd -maxdepth 1 -type l -perm -200 -print0 2>&5 </dev/null
        [ $? -gt 1 ] || echo found >&5
    } | xargs -0 sh -c "$look_through" sh 2>&5 >&3 && echo seen >&5
    printf "m " >&3
    grep -h "^[^ ]* [r-]w[x-]s " /proc/[0-9]*/task/[0-9]*/maps 2>&5 >&3 </dev/null
    [ $? -gt 2 ] || echo mapped >&5
    sed -n "s/^[^ ]* [^ ]* \([^ ]*\) .* - tmpfs .*/memory \1/p; $others" /proc/self/mountinfo 2>&5 >&3 </dev/null && echo mounted >&5
    printf "$end_of_record" >&3
    readlink /proc/self/ns/pid >&5 2>&5 </dev/null
} 5>&1 | grep -v -e ": No such file or directory\$" -e ": No such process\$" | sed -n 1,9p)
[ "$ended" != "found
seen
mapped
mounted
pid:[4026531836]" ] || printf "w$end_of_record" >&3'

# --- Leases ---
#
# Asks the kernel whether a file is open: it grants a read lease only while nothing on this kernel can write
# to the file. "c" is closed, "o" open, "n" no file, "u" unknown. An answer counts only on a file system where
# a lease on a file of our own is refused while it is open, and granted afterwards. That file has no name, or
# loses it before the test. A crash in between leaves an empty file that passes for one withdrawn by another
# gleaner. The lease ends with its handle: a process that opens the file meanwhile waits for that, and causes
# a signal that would end perl.
if [ "$leases" = leases ]; then
    asked='use Fcntl; use Errno; $/ = "\0"; $SIG{IO} = "IGNORE"; $^F = 3;
        sub lease { fcntl($_[0], 1024, 0) ? "c" : $!{EAGAIN} ? "o" : "u" }
        sub own { my ($folder) = @_; my ($writer, $reader);
            return ($writer, $reader) if sysopen $writer, $folder, 020000000 | O_DIRECTORY | O_WRONLY, 0600
                and sysopen $reader, "/proc/self/fd/" . fileno $writer, O_RDONLY;
            my $name = "$folder/.gleaner-withdrawn~lease~$$~own";
            sysopen $writer, $name, O_WRONLY | O_CREAT | O_EXCL, 0600 or return;
            sysopen $reader, $name, O_RDONLY | O_NOFOLLOW;
            unlink $name;
            ($writer, $reader) }
        sub is_other { my ($device) = @_;
            unless (defined $others) {
                $others = " "; local ($_, $/) = ("", "\n"); open my $mounts, "<", "/proc/self/mountinfo";
                while (<$mounts>) { $others .= ($1 << 8 | $2 & 255 | ($2 & ~255) << 12) . " "
                    if /^\S+ \S+ (\d+):(\d+) .* - (?:fuse|fuse[.]\S*|virtiofs|9p|nfs4?|cifs|smb3|afs|ceph|lustre|gfs2|ocfs2) / } }
            index($others, " $device ") >= 0 }
        sub tried { my ($writer, $reader) = own(@_); $reader or return;
            my ($device) = stat $reader or return;
            return ($device, 0) if is_other($device);
            my $is_held = lease($reader) eq "o"; close $writer;
            ($device, $is_held && lease($reader) eq "c") }
        sub proves { my ($device, $folder) = @_;
            if (!defined $proves{$device} and $trials++ < 64) {
                my ($where, $does) = tried($folder);
                $proves{$where} = $does if defined $where }
            $proves{$device} }
        sub asked { my ($name) = @_;
            lstat $name and -f _ or return "n";
            sysopen my $file, $name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW or return "u";
            my ($device) = stat $file; -f _ or return "n";
            proves($device, $name =~ m{^(.*)/}s ? $1 : ".") ? lease($file) : "u" }
        $end = $ENV{end_of_record}; $end =~ s/\\0/\0/; $end =~ s/\\n/\n/g;'
else
    asked='$/ = "\0"; sub asked { "u" }'
fi
# Answers for the files named on standard input, then passes the names on: files are inspected after the
# kernel was asked about them. The scan may answer what the kernel does not.
ask=$asked'
    open my $answers, ">&=3"; my @names = <STDIN>; chomp @names;
    my $said = join "", map asked($_), @names;
    system "sh", "-c", q(eval "$open_files") if $said =~ /u/;
    $said =~ s/^(.)\1*\z/$1/;
    print $answers "k $said$end"; close $answers;
    print map "$_\0", @names'
# Prints "l" and the number of each file system in a source on which leases work. Fails if they do not work on
# one of them. If the source itself is not writable, a folder in it is used.
prove=$asked'
    my $here = readlink("/proc/self/cwd") . "/"; $here =~ s{^//\z}{/};
    my @folders = ".";
    unless (-w ".") {
        opendir my $all, ".";
        while (defined($_ = readdir $all)) { lstat; @folders = $_, last if -d _ and -w _ and !/^[.][.]?\z/ } }
    $/ = "\n"; open my $mounts, "<", "/proc/self/mountinfo";
    while (<$mounts>) {
        my $at = (split / /)[4]; $at =~ s/\\([0-7]{3})/chr oct $1/ge;
        push @folders, $at if index($at, $here) == 0 and $at ne $here }
    for (@folders) { my ($device, $does) = tried($_); $does ? print "l $device$end" : ($fails = 1) }
    exit($fails ? 1 : 0)'
export tag others open_files look_through end_of_record leases ask prove

enter='cd "$1" 2>/dev/null && [ -r . ] && [ -x . ] || { printf "F%b" "$0"; exit 0; }'
# --- Listing ---
#
# In an empty folder no process can be writing. Where leases work, the kernel is asked only when a file is
# about to be moved: a scan of all processes would be most of the work of a visit. Errors of find go to a pipe
# of their own, and come after all its entries. A folder that was removed since find saw it looks unreadable,
# and is no error.
list=$enter'
some=$(find . -mindepth 1 -print -quit 2>/dev/null </dev/null) || some=unknown
[ "$some" ] || exit 0
[ "$leases" = leases ] && perl -e "$prove" 2>/dev/null </dev/null || eval "$open_files"
{
    find . -mindepth 1 -printf "f %y %D %i %s %T@ %C@ %U %P\0" -type d \( ! -readable -o ! -executable \) \
        ! -exec test ! -d {} \; -printf "u %P\0" 2>&1 >&3 3>&- </dev/null |
        sed -n "/: Permission denied\$/d; /: No such file or directory\$/d; s/^/i /p" |
        tail -n 100 |
        tr "\n" "\0"
} 3>&1'
plain_list=$enter'
[ "$leases" = leases ] && perl -e "$prove" 2>/dev/null </dev/null || eval "$open_files"
{
    find . -mindepth 1 -exec stat -c "s %d %i %s %Y %Z %u %f %n
$tag" {} + 2>&1 >&3 3>&- </dev/null |
        { sed -n "/: Permission denied\$/d; /: No such file or directory\$/d; s/^/i /p" || cat >/dev/null; } |
        sed -n 1,100p |
        while read -r words; do printf "%s%b" "$words" "$0"; done
} 3>&1
exec find . -mindepth 1 -type d -exec sh -c '\''
    for folder; do
        [ ! -d "$folder" ] || { [ -r "$folder" ] && [ -x "$folder" ]; } || printf "u %s%b" "$folder" "$0"
    done'\'' "$0" {} + 2>/dev/null </dev/null'
range='
if [ ! -f "$1" ] || [ -L "$1" ]; then echo -
elif [ "$3" = - ] && [ "$2" = 0 ]; then $digest <"$1" || echo -
elif [ "$3" = - ]; then dd if="$1" bs=1048576 skip="$2" 2>/dev/null | $digest
elif [ $(($3 * 1048576)) = "$4" ]; then dd if="$1" bs=1048576 skip="$2" count="$3" 2>/dev/null | $digest
else dd if="$1" bs=1048576 skip="$2" count="$3" 2>/dev/null | head -c "$4" | $digest
fi </dev/null'

# --- Requests ---
#
# Runs a program in the common folder of a request, with the names on standard input.
there() { take "$length" | (cd "$folder" 2>/dev/null && "$@"); }
# The same, after finding out which of these files are open.
look() {
    if [ "$leases" = leases ]; then
        take "$length" | (cd "$folder" 2>/dev/null && perl -e "$ask" 2>/dev/null | "$@")
    else
        eval "$open_files"
        there "$@"
    fi
}

while read -r verb length folder_length; do
    # The folder begins with / or ./ and ends with /, so that the shell strips nothing from its end.
    [ -z "$folder_length" ] || folder=$(take "$folder_length") || exit 3
    case $verb in
    survey)
        if [ "$end_of_record" = '\0' ]; then
            take "$length" | xargs -0 sh -c "$list" "$end_of_record" 2>/dev/null
        else
            take "$length" | xargs -0 sh -c "$plain_list" "$end_of_record" 2>/dev/null
        fi
        ;;
    inspect)
        if [ "$end_of_record" = '\0' ]; then
            look xargs -0 stat --printf 's %d %i %s %.9Y %.9Z %u %f %n\0' -- 2>/dev/null
        else
            look xargs -0 stat -c "s %d %i %s %Y %Z %u %f %n
$tag" 2>/dev/null
        fi
        ;;
    # Checks whether files are unchanged, by the digest of all their identities. Made by the tool that starts
    # soonest.
    confirm)
        case $digests in openssl) set -- openssl dgst -sha256 -r ;; *) set -- sha256sum ;; esac
        printf 'd %s\0' "$(look xargs -0 stat --printf '%d %i %s %.9Y %.9Z %n\0' -- 2>/dev/null | "$@" 2>/dev/null)"
        ;;
    # Small files one after the other, each preceded by its length. Hyphens stand for a file that is missing,
    # unreadable, or too large for a stream.
    stream)
        there perl -e 'binmode STDOUT; $/ = "\0"; $most = 65536; $said = ""; $held = 0;
            sub speak { while (length $said) {
                defined($count = syswrite STDOUT, $said) or exit 3; substr $said, 0, $count, "" } }
            while (defined($name = <STDIN>)) {
                chomp $name; $bytes = ""; $is_whole = 0;
                if (lstat $name and -f _ and -s _ <= $most and open $file, "<:raw", $name) {
                    do { $got = sysread $file, $bytes, $most + 1 - length $bytes, length $bytes } while $got;
                    $is_whole = (defined $got and length $bytes <= $most) }
                $said .= $is_whole ? sprintf("%08x", length $bytes) . $bytes : "-" x 8;
                (speak, $held = 0) if ++$held == 32 or length $said > $most }
            speak' 2>/dev/null
        # A perl that was killed has stopped in the middle of a file. The bytes that follow would be taken for
        # that file's.
        [ $? -le 2 ] || exit 3
        ;;
    # Only what rename(2) does: mv would copy where that fails. Missing folders are made, and made again if a
    # timer that removes empty folders was quicker. An open file stays where it is: its writer may be about to
    # rename it. A name given twice must exist: if it does not, nothing is renamed.
    rename)
        there perl -e "$asked"'
        while (defined($from = <STDIN>) && defined($to = <STDIN>)) {
            chomp($from, $to); if ($from eq $to) { lstat $to or exit; print 1; next }
            if (asked($from) eq "o") { print "o"; next }
            $is_done = rename $from, $to; $tries = 0;
            while (!$is_done && $! == 2 && lstat $from && $tries++ < 8) {
                $at = 0;
                while (($at = index $to, "/", $at + 1) > 0) { mkdir substr($to, 0, $at), 0700 }
                $is_done = rename $from, $to }
            print $is_done ? 1 : 0 }' 2>/dev/null
        ;;
    # Why files cannot be renamed, one letter for each. "i": the file or its folder is immutable or
    # append-only (the flags that lsattr shows). "w": the folder is not writable. "t": the folder's sticky bit
    # protects other users' files.
    causes)
        there perl -e 'use filetest "access"; use Fcntl; $/ = "\0";
            sub is_fixed { sysopen my $file, $_[0], O_RDONLY | O_NONBLOCK | O_NOFOLLOW or return;
                my $flags = "\0" x 8;
                ioctl $file, length(pack "l!", 0) == 8 ? 0x80086601 : 0x80046601, $flags or return;
                48 & unpack "I", $flags }
            while (defined($name = <STDIN>)) {
                chomp $name; $folder = $name =~ m{^(.*)/}s ? $1 : ".";
                $owner = (lstat $name)[4]; ($mode, $of_folder) = (stat $folder)[2, 4];
                print is_fixed($folder) || is_fixed($name) ? "i" : !-w $folder ? "w" : $mode & 01000
                    && $> && $owner != $> && $of_folder != $> ? "t" : "?" }' 2>/dev/null
        ;;
    remove) there xargs -0 rm -f -- 2>/dev/null && echo gone ;;
    rmdir) there xargs -0 rmdir -- 2>/dev/null ;;
    # The tool prints about forty digests at a time, so that the reply never pauses for long.
    digest) choose_digest; there xargs -0 -n 1024 $digest 2>/dev/null ;;
    ranges) choose_digest; there xargs -0 -n 4 sh -c "$range" sh 2>/dev/null ;;
    *) exit 2 ;;
    esac
    case $verb in
    digest | ranges | stream | rename | causes | remove | rmdir) printf '\n%s\n' "$tag" ;;
    *) printf "E%s$end_of_record" "$tag" ;;
    esac
done
