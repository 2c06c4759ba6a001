#include "cli/small_run.h"
#include "esmscale/core/safetensors.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>

#include <gmock/gmock.h>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class Embed : public ::testing::Test {
 protected:
  Embed() {
    std::string fasta;
    for (int i = 0; i < 12; ++i)
      fasta += ">p" + std::to_string(i) + "\nMKTAYIAKQRQISF" + std::string(size_t(i), 'W') + "\n";
    write_file(temporary_ / "in.fasta", fasta);
  }
  static const std::string& model() {
    static const SmallRun run;
    static const std::string folder = run.trained("run");
    return folder;
  }
  Arguments embed(const std::string& output, const Arguments& more = {}) const {
    return Arguments{"embed",    "--checkpoint", model(),     "--input", temporary_ / "in.fasta",
                     "--output", path(output),   "--threads", "1",       "--device",
                     "cpu",      "--log-level",  "error"} +
           more;
  }
  Arguments contacts(const std::string& output, const Arguments& more = {}) const {
    return Arguments{"contacts", "--checkpoint", model(),     "--input", temporary_ / "one.fasta",
                     "--output", path(output),   "--threads", "1",       "--device",
                     "cpu",      "--log-level",  "error"} +
           more;
  }
  std::string path(const std::string& name) const { return temporary_ / name; }

  static std::vector<float> tensor(const fs::path& file, const std::string& name) {
    const SafetensorsFile opened(file);
    const TensorEntry* entry = opened.find(name);
    EXPECT_NE(entry, nullptr) << name;
    std::vector<float> values(static_cast<size_t>(entry ? entry->elements() : 0));
    if (entry) std::memcpy(values.data(), opened.bytes(*entry).data(), values.size() * sizeof(float));
    return values;
  }
  static std::vector<float> matrix(const fs::path& file, size_t numbers) {
    const std::string content = read_file(file);
    std::vector<float> values(numbers);
    std::memcpy(values.data(), content.data() + content.size() - numbers * sizeof(float),
                numbers * sizeof(float));
    return values;
  }
  TemporaryFolder temporary_;
};

// Oracle: the hidden states of `logits --embeddings`, averaged by hand. Batches of another make-up: fp32
// rounding of values near 1.
TEST_F(Embed, MeansOverResidues) {
  ASSERT_EQ(run({"logits", "--checkpoint", model(), "--input", path("in.fasta"), "--output", path("logits"),
                 "--embeddings", "--device", "cpu", "--threads", "1", "--log-level", "error"})
                .status,
            0);
  EXPECT_EQ(json_of(embed("means"))["proteins"], 12);
  json_of(embed("ends", {"--include-ends"}));
  json_of(embed("rows", {"--per-residue"}));
  const auto hidden = tensor(path("logits"), "p3/hidden");
  constexpr size_t kWidth = 16, kRows = 19;
  const auto means = tensor(path("means/embeddings-00001.safetensors"), "p3/layer_1");
  const auto with_ends = tensor(path("ends/embeddings-00001.safetensors"), "p3/layer_1");
  const auto rows = tensor(path("rows/embeddings-00001.safetensors"), "p3/layer_1");
  ASSERT_EQ(hidden.size(), kRows * kWidth);
  ASSERT_EQ(rows.size(), (kRows - 2) * kWidth);
  for (size_t d = 0; d < kWidth; ++d) {
    double inner = 0;
    for (size_t row = 1; row + 1 < kRows; ++row) inner += hidden[row * kWidth + d];
    EXPECT_NEAR(means[d], inner / (kRows - 2), 1e-5);
    EXPECT_NEAR(with_ends[d], (inner + hidden[d] + hidden[(kRows - 1) * kWidth + d]) / kRows, 1e-5);
    EXPECT_NEAR(rows[d], hidden[kWidth + d], 1e-5);
  }
  EXPECT_THAT(read_file(path("means/index.tsv")),
              AllOf(HasSubstr("row\tidentifier\tresidues\tfile\n0\tp0\t14\tembeddings-00001.safetensors\n"),
                    HasSubstr("11\tp11\t25\t")));
}

TEST_F(Embed, AMatrixForNumPy) {
  json_of(embed("shards", {"--layers", "0,-1"}));
  json_of(embed("matrix", {"--layers", "all", "--format", "npy"}));
  const std::string content = read_file(path("matrix/layer_0.npy"));
  EXPECT_EQ(content.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_THAT(content, HasSubstr("'descr': '<f4', 'fortran_order': False, 'shape': (12, 16)"));
  EXPECT_EQ(content.size() % 64, 0u);
  const auto values = matrix(path("matrix/layer_1.npy"), 12 * 16);
  const auto other = tensor(path("shards/embeddings-00001.safetensors"), "p5/layer_1");
  EXPECT_EQ(std::vector<float>(values.begin() + 5 * 16, values.begin() + 6 * 16), other);
  json_of(embed("half", {"--dtype", "fp16", "--format", "npy"}));
  EXPECT_THAT(read_file(path("half/layer_1.npy")), HasSubstr("'<f2'"));
  EXPECT_THAT(refusal_of(2, embed("x", {"--dtype", "bf16", "--format", "npy"})),
              HasSubstr("NumPy knows no bf16"));
  EXPECT_THAT(refusal_of(2, embed("x", {"--per-residue", "--format", "npy"})), HasSubstr("safetensors"));
  EXPECT_FALSE(fs::exists(path("x")));
}

// An interrupted run: a shard is there, and the state that names it; what follows is computed again.
TEST_F(Embed, ResumesWhereItWasStopped) {
  for (const std::string format : {"safetensors", "npy"}) {
    const Arguments small{"--shard-size", "100", "--batch-rows", "40", "--format", format};
    json_of(embed("whole" + format, small));
    json_of(embed("cut" + format, small));
    Json state = read_json(path("cut" + format + "/embed.json"));
    EXPECT_EQ(state["done"], 12);
    const bool is_matrix = format == "npy";
    state["done"] = is_matrix ? Json(4) : state["shard_ends"][1];
    if (!is_matrix) state["shard_ends"] = Json::array({state["shard_ends"][0], state["shard_ends"][1]});
    write_file(path("cut" + format + "/embed.json"), to_text(state));
    for (const auto& entry : fs::directory_iterator(path("cut" + format)))
      if (entry.path().filename() > "embeddings-00003" && entry.path().filename() < "embeddings-0001")
        fs::remove(entry);
    if (is_matrix) {
      std::string matrix = read_file(path("cutnpy/layer_1.npy"));
      std::fill(matrix.end() - 8 * 16 * 4, matrix.end(), '\0');
      write_file(path("cutnpy/layer_1.npy"), matrix);
    }
    json_of(embed("cut" + format, small));
    for (const auto& entry : fs::directory_iterator(path("whole" + format)))
      EXPECT_EQ(read_file(entry.path()), read_file(path("cut" + format) / entry.path().filename()))
          << entry.path();
  }
  EXPECT_THAT(refusal_of(1, embed("wholenpy", {"--format", "npy", "--layers", "0"})),
              AllOf(HasSubstr("another model, input or layer"), HasSubstr("--force")));
  json_of(embed("wholenpy", {"--format", "npy", "--layers", "0", "--force"}));
  EXPECT_FALSE(fs::exists(path("wholenpy/layer_1.npy")));
}

TEST_F(Embed, AStateThatDisagreesWithItselfIsNamed) {
  json_of(embed("out"));
  Json state = read_json(path("out/embed.json"));
  for (const Json& ends : {Json::array(), Json::array({12, 3}), Json::array({3}), Json::array({3, 3, 12})}) {
    state["shard_ends"] = ends;
    write_file(path("out/embed.json"), to_text(state));
    EXPECT_THAT(refusal_of(1, embed("out")),
                AllOf(HasSubstr("embed.json: shard_ends"), HasSubstr("'done', 12")));
  }
}

TEST_F(Embed, BadInput) {
  EXPECT_THAT(refusal_of(2, embed("x", {"--layers", "2"})), HasSubstr("from 0 (the embedding) to 1"));
  EXPECT_THAT(refusal_of(2, embed("x", {"--dtype", "int8"})), HasSubstr("bf16"));
  write_file(path("in.fasta"), ">a\nMK\n>a\nMK\n");
  EXPECT_THAT(refusal_of(1, embed("x")), HasSubstr("a twice"));
  write_file(path("in.fasta"), ">a\nMK\n>b\n");
  EXPECT_THAT(refusal_of(1, embed("x")), HasSubstr("b without any"));
  EXPECT_FALSE(fs::exists(path("x")));
  fs::create_directory(path("mine"));
  write_file(path("mine/notes.txt"), "keep");
  write_file(path("in.fasta"), ">a\nMK\n");
  EXPECT_THAT(refusal_of(1, embed("mine", {"--force"})), HasSubstr("other files"));
  EXPECT_EQ(read_file(path("mine/notes.txt")), "keep");
}

TEST_F(Embed, ContactsOfAModelTrainedHere) {
  write_file(path("one.fasta"), ">p\nMKTAYIAKQRQISFVKSHFSRQ\n");
  write_file(path("known"), "1 10\n2 20\n");
  const Json result = json_of(contacts("maps", {"--contact-list", path("known")}));
  EXPECT_EQ(result["method"], "categorical Jacobian");
  EXPECT_EQ(result["proteins"][0]["precision"].size(), 9u);
  EXPECT_THAT(read_file(path("maps/p.npy")), HasSubstr("'shape': (22, 22)"));
  EXPECT_THAT(read_file(path("maps/p.svg")), HasSubstr("<svg"));
  EXPECT_THAT(refusal_of(1, contacts("maps")), HasSubstr("--force"));
  EXPECT_THAT(run(contacts("maps", {"--force", "--contact-list", path("known")})).out,
              HasSubstr("first L/5"));
  EXPECT_THAT(refusal_of(2, contacts("x", {"--method", "head"})), HasSubstr("--method jacobian"));
  EXPECT_FALSE(fs::exists(path("x")));
  write_file(path("one.fasta"), ">p\nMKTAYIAK\n>q\nMKTAYI\n");
  EXPECT_THAT(refusal_of(2, contacts("x", {"--contact-list", path("known")})), HasSubstr("one protein"));
}

// A comparison of each of 300,000 names with all before it takes minutes; a set of them takes a second.
TEST_F(Embed, ContactsOfManyProteinsAreCheckedInOnePass) {
  std::string fasta;
  for (int i = 0; i < 300'000; ++i) fasta += ">protein" + std::to_string(i) + "\nMK\n";
  write_file(path("one.fasta"), fasta + ">protein0\nMK\n");
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(refusal_of(1, contacts("x")), HasSubstr("protein0 twice"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST_F(Embed, ContactsOfAProteinThatIsTooLongAreRefused) {
  write_file(path("one.fasta"), ">p\n" + std::string(20'001, 'M') + "\n");
  EXPECT_THAT(refusal_of(1, contacts("x")),
              AllOf(HasSubstr("one.fasta, p"), HasSubstr("at most 20000 residues"), HasSubstr("20001")));
  EXPECT_FALSE(fs::exists(path("x")));
}

}  // namespace
}  // namespace esmscale::cli
