// What prepare refuses, and that it leaves the folders as they were.
#include "data/prepare/prepare_fixture.h"

#include <csignal>

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace esmscale::data {
namespace {

namespace fs = std::filesystem;

class PrepareErrors : public Prepare {
 protected:
  // The error; and nothing may be left of the output.
  std::string refused(const PrepareOptions& given) {
    const std::string error = error_of([&] { prepare(given); });
    EXPECT_FALSE(fs::exists(root_ / "out")) << error;
    EXPECT_FALSE(fs::exists(root_ / "holdout")) << error;
    return error;
  }
  PrepareOptions with_holdout() {
    PrepareOptions given = options(random_proteins(100, 20));
    given.holdout = 10;
    given.holdout_output = root_ / "holdout";
    return given;
  }
  PrepareOptions from(const std::string& bytes) {
    PrepareOptions given = with_holdout();
    given.inputs = {write_fasta(root_ / "bad", bytes)};
    return given;
  }
};

TEST_F(PrepareErrors, UsageErrorsAreReportedAtOnce) {
  PrepareOptions given = options({});
  given.inputs = {"-", "-"};
  given.output.clear();
  given.holdout = 3;
  given.min_length = 0;
  try {
    prepare(given);
    FAIL() << "nothing was refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("standard input twice"), HasSubstr("--output"),
                                    HasSubstr("--holdout-output"), HasSubstr("--min-length")));
  }
  given = with_holdout();
  given.holdout_output = root_ / "a" / ".." / "out";
  EXPECT_THAT(refused(given), HasSubstr("the same folder"));
}

TEST_F(PrepareErrors, InputsAreLookedAtFirst) {
  PrepareOptions given = with_holdout();
  given.inputs.push_back(root_ / "absent");
  EXPECT_THAT(refused(given), AllOf(HasSubstr("absent"), HasSubstr("nothing there")));
  given.inputs.back() = root_.path();
  EXPECT_THAT(refused(given), HasSubstr("a folder"));
  given.inputs.pop_back();
  given.exclude = root_ / "no-such-list";
  EXPECT_THAT(refused(given), HasSubstr("no-such-list"));
}

TEST_F(PrepareErrors, BadInputLeavesNothing) {
  const std::string fasta = fasta_text(random_proteins(2000, 200));
  EXPECT_THAT(refused(from("")), HasSubstr("empty"));
  EXPECT_THAT(refused(from("no fasta")), HasSubstr("begin with '>'"));
  EXPECT_THAT(refused(from(fasta + "\x01\x02")), HasSubstr("0x01"));
  const std::string packed = gzipped(fasta, root_ / "scratch");
  EXPECT_THAT(refused(from(packed.substr(0, packed.size() / 2))), HasSubstr("cut short"));
  EXPECT_THAT(refused(from(">a\n>b\n")), HasSubstr("at least one sequence"));
}

// Oracle: a folder outside, which keeps its content.
TEST_F(PrepareErrors, ALinkInPlaceOfAFolderOfOursIsRefused) {
  namespace fs = std::filesystem;
  fs::create_directories(root_ / "outside");
  put_bytes(root_ / "outside" / "victim", "content");
  fs::create_directories(root_ / "out");
  fs::create_directory_symlink(root_ / "outside", root_ / "out" / ".preparing");
  const PrepareOptions given = options(random_proteins(100, 20));
  EXPECT_THAT(error_of([&] { prepare(given); }), AllOf(HasSubstr(".preparing"), HasSubstr("found a link")));
  EXPECT_EQ(bytes_in(root_ / "outside" / "victim"), "content");
  EXPECT_EQ(std::distance(fs::directory_iterator(root_ / "outside"), {}), 1);
  fs::remove(root_ / "out" / ".preparing");
  prepare(given);
  EXPECT_EQ(content("out").size(), 100u);
}

TEST_F(PrepareErrors, AListOfExclusionsKeepsToTheMemory) {
  PrepareOptions given = options(random_proteins(100, 20));
  std::string list;
  for (int i = 0; i < 10'000; ++i) list += "name" + std::to_string(i) + "\n";
  given.exclude = write_fasta(root_ / "list", list);
  given.memory = 2 * 16 * 9'999;  // half of it holds one identifier less, 16 bytes each
  EXPECT_THAT(refused(given),
              AllOf(HasSubstr("list"), HasSubstr("found more than 9999"), HasSubstr("raise --memory")));
  put_bytes(root_ / "list", std::string(2 << 20, 'x'));
  EXPECT_THAT(refused(given), HasSubstr("one a line"));
}

TEST_F(PrepareErrors, MoreThanThereIs) {
  PrepareOptions given = with_holdout();
  given.holdout = 100;
  EXPECT_THAT(refused(given), AllOf(HasSubstr("--holdout"), HasSubstr("fewer than the 100")));
  given.holdout = 10;
  given.limit = 91;
  EXPECT_THAT(refused(given), AllOf(HasSubstr("--limit"), HasSubstr("at most the 90")));
  given.limit = 90;
  prepare(given);
  EXPECT_EQ(content("out").size(), 90u);
}

TEST_F(PrepareErrors, ASequenceThatNeedsMoreMemoryIsNamed) {
  PrepareOptions given = options({{"long", std::string(5000, 'M')}});
  given.working_memory = 2 << 10;
  EXPECT_THAT(refused(given), AllOf(HasSubstr("--memory"), HasSubstr("5000 residues")));
}

TEST_F(PrepareErrors, MoreMemoryThanThereIsWillDo) {
  PrepareOptions given = options(random_proteins(100, 20));
  given.memory = int64_t{1} << 46;
  prepare(given);
  EXPECT_EQ(content("out").size(), 100u);
}

TEST_F(PrepareErrors, ADataSetIsReplacedOnlyWhenForced) {
  PrepareOptions given = options(random_proteins(100, 20));
  prepare(given);
  const std::string before = folder_bytes("out");
  EXPECT_THAT(error_of([&] { prepare(given); }), AllOf(HasSubstr("found a data set"), HasSubstr("--force")));
  given.force = true;
  given.limit = 1000;
  EXPECT_THAT(error_of([&] { prepare(given); }), HasSubstr("--limit"));
  EXPECT_EQ(folder_bytes("out") == before, true) << "a failed replacement changed the old set";
  given.limit = 50;
  prepare(given);
  EXPECT_EQ(content("out").size(), 50u);
}

TEST_F(PrepareErrors, OtherFilesAreNeverTouched) {
  PrepareOptions given = options(random_proteins(100, 20));
  given.force = true;
  put_bytes(root_ / "file", "x");
  given.output = root_ / "file";
  EXPECT_THAT(error_of([&] { prepare(given); }), HasSubstr("found a file"));
  given.output = root_ / "file" / "below";
  EXPECT_NE(error_of([&] { prepare(given); }), "no error");
  given.output = root_ / "photos";
  fs::create_directories(root_ / "photos");
  for (const auto& [name, bytes] : std::vector<std::pair<std::string, std::string>>{
           {"cat.jpg", "meow"}, {"manifest.json", "{\"format\": \"album\"}"}, {"manifest.json", "[]"}}) {
    put_bytes(root_ / "photos" / name, bytes);
    EXPECT_THAT(error_of([&] { prepare(given); }), HasSubstr(name));
    EXPECT_EQ(folder_bytes("photos"), name + "\n" + bytes);
    fs::remove(root_ / "photos" / name);
  }
  prepare(given);  // an empty folder will do
  put_bytes(root_ / "photos" / "notes.txt", "mine");
  EXPECT_THAT(error_of([&] { prepare(given); }), HasSubstr("notes.txt"));
  EXPECT_EQ(content("photos").size(), 100u);
}

TEST_F(PrepareErrors, ADamagedSetIsReplacedWhenForced) {
  PrepareOptions given = options(random_proteins(100, 20));
  prepare(given);
  put_bytes(root_ / "out" / "manifest.json", "{torn");
  given.force = true;
  prepare(given);
  EXPECT_EQ(content("out").size(), 100u);
}

// A prepare that is killed while it reads leaves no data set, and the next one takes its place unasked.
TEST_F(PrepareErrors, AKilledPrepareIsNoDataSetAndIsCleanedUp) {
  PrepareOptions given = options(random_proteins(100, 20));
  const fs::path pipe = root_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    PrepareOptions from_pipe = given;
    from_pipe.inputs = {pipe};
    prepare(from_pipe);
    ::_exit(0);
  }
  {
    std::ofstream feed(pipe);  // opens when the child does
    feed << ">a\nMKV\n" << std::flush;
    while (!fs::exists(root_ / "out" / ".preparing" / "temporary")) ::usleep(1000);
    EXPECT_THAT(error_of([&] { prepare(given); }), HasSubstr(text("process ", child)));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  EXPECT_THAT(error_of([&] { Dataset dataset(root_ / "out"); }), HasSubstr("interrupted prepare"));
  prepare(given);
  EXPECT_EQ(content("out").size(), 100u);
  EXPECT_FALSE(fs::exists(root_ / "out" / ".preparing"));
}

class FullDisk : public PrepareErrors {
 protected:
  void SetUp() override {
    PrepareErrors::SetUp();
    fs::create_directories(root_ / "disk");
    if (::mount("tmpfs", (root_ / "disk").c_str(), "tmpfs", 0, "size=400k") != 0)
      GTEST_SKIP() << "a small file system needs root";
  }
  void TearDown() override {
    ::umount((root_ / "disk").c_str());
    PrepareErrors::TearDown();
  }
  // 1 MB of residues, which need 0.5 MB.
  const NamedProteins proteins_ = random_proteins(10'000, 100);
};

TEST_F(FullDisk, IsFoundBeforeAnythingIsWritten) {
  PrepareOptions given = options(proteins_);
  given.output = root_ / "disk" / "out";
  EXPECT_THAT(error_of([&] { prepare(given); }), AllOf(HasSubstr("of free disk"), HasSubstr("disk/out")));
  given.limit = 9'000;  // known only when all is read
  EXPECT_THAT(error_of([&] { prepare(given); }), HasSubstr("of free disk"));
  EXPECT_TRUE(fs::is_empty(root_ / "disk"));
  given.limit = 1'000;
  prepare(given);
  EXPECT_EQ(Dataset(given.output).sequences(), 1'000);
}

TEST_F(FullDisk, WhileSpillingLeavesNothing) {
  PrepareOptions given = options(proteins_);
  given.output = root_ / "disk" / "out";
  given.limit = 1'000;
  given.working_memory = 100 << 10;
  EXPECT_THAT(error_of([&] { prepare(given); }), HasSubstr("No space left on device"));
  EXPECT_TRUE(fs::is_empty(root_ / "disk"));
}

}  // namespace
}  // namespace esmscale::data
