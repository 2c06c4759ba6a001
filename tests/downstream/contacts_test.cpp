#include "esmscale/downstream/contacts.h"

#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/downstream/known_contacts.h"
#include "support/batches.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <cmath>

#include <ATen/ops/sigmoid.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::downstream {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::vector<uint8_t> codes(std::string_view letters) {
  std::vector<uint8_t> result;
  for (const char c : letters) result.push_back(data::letter_code(c));
  return result;
}

constexpr std::string_view kProtein = "MKTAYIAKQRQ";

// Heads without weight leave the bias alone. scripts/compare_with_hf.sh compares real heads with
// transformers.
TEST(ContactsByHead, AreSymmetricProbabilities) {
  const model::Weights weights = model::random_weights(model::model_of(2, 24, 3), 4);
  const std::vector<float> none(6, 0.f), some{1, -2, 0.5, 3, 0, -1};
  const at::Tensor flat = contacts_by_head(weights, codes(kProtein), none, -1.5);
  EXPECT_NEAR(flat.max().item<float>(), 1 / (1 + std::exp(1.5)), 1e-6);
  const at::Tensor map = contacts_by_head(weights, codes(kProtein), some, 0.25);
  EXPECT_EQ(map.sizes(), (std::vector<int64_t>{11, 11}));
  // fp32: the average product is a quotient of sums over rows and over columns, each in an order of its own.
  EXPECT_LT((map - map.transpose(0, 1)).abs().max().item<float>(), 1e-6);
  EXPECT_GT((map - flat).abs().max().item<float>(), 1e-3);
}

// Oracle: the definition, element by element in double precision.
TEST(ContactsByJacobian, FollowTheDefinition) {
  const model::Weights weights = model::random_weights(model::model_of(2, 24, 3), 4);
  const data::TokenList& tokens = data::TokenList::of(29);
  const auto engine = model::make_engine(weights, {.engine = config::EngineKind::plain});
  const std::string protein = "MKTAY";
  const auto logits = [&](const std::string& shown) {
    const model::DeviceBatch batch =
        model::to_device(model::pack(tokens, {{"", shown}}, false), weights.config, tokens, at::kCPU);
    return engine->logits(engine->hidden(batch)).to(at::kDouble);
  };
  const int n = 5;
  const at::Tensor own = logits(protein);
  std::vector<double> j(n * 20 * n * 20);
  const auto at = [&](int i, int a, int k, int b) -> double& {
    return j[size_t(((i * 20 + a) * n + k) * 20 + b)];
  };
  for (int i = 0; i < n; ++i)
    for (int a = 0; a < 20; ++a) {
      std::string shown = protein;
      shown[size_t(i)] = data::kLetters[size_t(a)];
      const at::Tensor changed = (logits(shown) - own).contiguous();
      for (int k = 0; k < n; ++k)
        for (int b = 0; b < 20; ++b)
          at(i, a, k, b) = changed.const_data_ptr<double>()[(k + 1) * 29 + tokens.letter(uint8_t(b))];
    }
  const int sizes[4] = {n, 20, n, 20};
  for (int axis = 0; axis < 4; ++axis) {
    std::vector<double> centred = j;
    int stride = 1;
    for (int later = axis + 1; later < 4; ++later) stride *= sizes[later];
    for (size_t place = 0; place < j.size(); ++place) {
      const size_t inner = place / size_t(stride) % size_t(sizes[axis]);
      double mean = 0;
      for (int k = 0; k < sizes[axis]; ++k) mean += j[place - inner * size_t(stride) + size_t(k * stride)];
      centred[place] -= mean / sizes[axis];
    }
    j = centred;
  }
  double norm[5][5] = {}, row[5] = {}, column[5] = {}, total = 0;
  for (int i = 0; i < n; ++i)
    for (int k = 0; k < n; ++k) {
      for (int a = 0; a < 20; ++a)
        for (int b = 0; b < 20; ++b) norm[i][k] += at(i, a, k, b) * at(i, a, k, b);
      norm[i][k] = i == k ? 0 : std::sqrt(norm[i][k]);
      row[i] += norm[i][k];
      column[k] += norm[i][k];
      total += norm[i][k];
    }
  for (const int64_t batch_rows : {0, 40, 4096}) {
    const at::Tensor map =
        contacts_by_jacobian(*engine, weights.config, codes(protein), {.batch_rows = batch_rows});
    for (int i = 0; i < n; ++i)
      for (int k = 0; k < n; ++k) {
        const double expected =
            i == k ? 0
                   : (norm[i][k] - row[i] * column[k] / total + norm[k][i] - row[k] * column[i] / total) / 2;
        // fp32 logits near 3, and 400 of their differences in each norm.
        EXPECT_NEAR(map[i][k].item<float>(), expected, 2e-5) << i << ' ' << k;
      }
  }
}

// A glycine without Cβ and a chain whose numbers begin at 11.
std::string pdb(char third = 'T') {
  const auto line = [](int number, const char* name, const char* residue, int at, double x) {
    char text[96];
    std::snprintf(text, sizeof text, "ATOM  %5d  %-3s %3s A%4d    %8.3f%8.3f%8.3f  1.00 10.00           C\n",
                  number, name, residue, at, x, 0.0, 0.0);
    return std::string(text);
  };
  return line(1, "CA", "MET", 11, 0) + line(2, "CB", "MET", 11, 1) + line(3, "CA", "GLY", 12, 5) +
         line(4, "CA", third == 'T' ? "THR" : "SER", 13, 9) +
         line(5, "CB", third == 'T' ? "THR" : "SER", 13, 9.5) + line(6, "CA", "ALA", 14, 30) +
         line(7, "CB", "ALA", 14, 16) + "END\n";
}

TEST(Structure, CbetaAtomsOfAChain) {
  const TemporaryFolder temporary;
  write_file(temporary / "x.pdb", pdb());
  const KnownContacts known = contacts_of_structure(temporary / "x.pdb", "", codes("KMGTAY"));
  EXPECT_EQ(known.is_resolved, (std::vector<uint8_t>{0, 1, 1, 1, 1, 0}));
  const auto contact = [&](int i, int j) { return known.is_contact[size_t(i * 6 + j)] != 0; };
  EXPECT_TRUE(contact(1, 2)) << "Cβ at 1 Å, Cα of glycine at 5 Å";
  EXPECT_TRUE(contact(2, 1));
  EXPECT_FALSE(contact(1, 3)) << "8.5 Å";
  EXPECT_TRUE(contact(3, 4)) << "Cβ atoms at 6.5 Å, whatever the Cα atoms do";
  EXPECT_FALSE(contact(2, 4));

  write_file(temporary / "y.pdb", pdb('S'));
  EXPECT_THAT(error_of([&] { contacts_of_structure(temporary / "y.pdb", "", codes("KMGTAY")); }),
              AllOf(HasSubstr("1 of 4 that differ"), HasSubstr("S at residue 13"), HasSubstr("T at 4")));
  EXPECT_THAT(error_of([&] { contacts_of_structure(temporary / "x.pdb", "B", codes("KMGTAY")); }),
              HasSubstr("atoms of chain B"));
  write_file(temporary / "z.pdb", "ATOM      1  CA  MET A  11       x.000   0.000   0.000\n");
  EXPECT_THAT(error_of([&] { contacts_of_structure(temporary / "z.pdb", "", codes("M")); }),
              AllOf(HasSubstr("line 1"), HasSubstr("a finite number")));
}

// The columns, and rows of name, residue, number and x.
std::string mmcif(const std::vector<std::tuple<const char*, const char*, std::string, std::string>>& atoms) {
  std::string cif =
      "data_X\nloop_\n_atom_site.group_PDB\n_atom_site.label_atom_id\n_atom_site.label_comp_id\n"
      "_atom_site.auth_asym_id\n_atom_site.auth_seq_id\n_atom_site.Cartn_x\n_atom_site.Cartn_y\n_atom_site."
      "Cartn_z\n";
  for (const auto& [name, residue, at, x] : atoms)
    cif += text("ATOM ", name, ' ', residue, " A ", at, ' ', x, " 0.0 0.0\n");
  return cif + "#\n";
}

TEST(Structure, MmcifHasTheSameContacts) {
  const TemporaryFolder temporary;
  write_file(temporary / "x.pdb", pdb());
  write_file(temporary / "x.cif", mmcif({{"CA", "MET", "11", "0.0"},
                                         {"CB", "MET", "11", "1.0"},
                                         {"CA", "GLY", "12", "5.0"},
                                         {"CA", "THR", "13", "9.0"},
                                         {"CB", "THR", "13", "9.5"},
                                         {"CA", "ALA", "14", "30.0"},
                                         {"CB", "ALA", "14", "16.0"}}));
  const auto sequence = codes("KMGTAY");
  EXPECT_EQ(contacts_of_structure(temporary / "x.cif", "A", sequence).is_contact,
            contacts_of_structure(temporary / "x.pdb", "", sequence).is_contact);
}

TEST(Structure, NumbersThatCannotBeAreNamed) {
  const TemporaryFolder temporary;
  const auto refusal = [&](const std::string& cif) {
    write_file(temporary / "x.cif", cif);
    return error_of([&] { contacts_of_structure(temporary / "x.cif", "", codes("MG")); });
  };
  for (const char* x : {"nan", "inf", "-inf", "1e999", "1.0x"})
    EXPECT_THAT(refusal(mmcif({{"CA", "MET", "1", x}})),
                AllOf(HasSubstr("line 11"), HasSubstr("a finite number")))
        << x;
  // Numbers of which differences overflow.
  for (const char* number : {"-9223372036854775808", "9223372036854775807", "1000000001"})
    EXPECT_THAT(refusal(mmcif({{"CA", "MET", number, "0"}, {"CA", "GLY", "2", "0"}})),
                AllOf(HasSubstr("residue numbers from"), HasSubstr(number)));
  std::string twice = mmcif({{"CA", "MET", "1", "0"}});
  twice.insert(twice.find("_atom_site.Cartn_x"), "_atom_site.label_comp_id\n");
  EXPECT_THAT(refusal(twice), AllOf(HasSubstr("line 8"), HasSubstr("label_comp_id again")));
}

TEST(ContactList, PairsAndWhatIsWrong) {
  const TemporaryFolder temporary;
  write_file(temporary / "x", "# i j\n1 8\n9,2\n");
  const KnownContacts known = read_contact_list(temporary / "x", 10);
  EXPECT_TRUE(known.is_contact[7] && known.is_contact[70] && known.is_contact[18]);
  for (const char* line : {"1 11", "0 3", "4 4", "1", "1 2 3", "a b"}) {
    write_file(temporary / "x", std::string("1 8\n") + line + "\n");
    EXPECT_THAT(error_of([&] { read_contact_list(temporary / "x", 10); }),
                AllOf(HasSubstr("line 2"), HasSubstr("from 1 to 10")))
        << line;
  }
}

// Sizes of arrays are a sequence's length squared: 100 GB here.
TEST(KnownContacts, ALengthIsBoundedBeforeItIsAllocated) {
  const TemporaryFolder temporary;
  write_file(temporary / "list", "1 300000\n");
  EXPECT_THAT(error_of([&] { read_contact_list(temporary / "list", 300'000); }),
              AllOf(HasSubstr("list"), HasSubstr("at most 20000 residues"), HasSubstr("300000")));
  write_file(temporary / "x.pdb", pdb());
  const std::vector<uint8_t> sequence(300'000);
  EXPECT_THAT(error_of([&] { contacts_of_structure(temporary / "x.pdb", "", sequence); }),
              AllOf(HasSubstr("x.pdb"), HasSubstr("at most 20000 residues"), HasSubstr("300000")));
}

TEST(Structure, AChainLongerThanTheSequenceIsRefusedAtOnce) {
  const TemporaryFolder temporary;
  write_file(temporary / "x.pdb", pdb());
  EXPECT_THAT(error_of([&] { contacts_of_structure(temporary / "x.pdb", "", codes("MGT")); }),
              AllOf(HasSubstr("x.pdb"), HasSubstr("at most the 3 residues"), HasSubstr("a chain of 4")));
}

// By hand: ten residues, three contacts six or more apart; the map puts two of them first, then others.
TEST(Precision, CountsTheFirstPairs) {
  KnownContacts known{
      .length = 10, .is_contact = std::vector<uint8_t>(100), .is_resolved = std::vector<uint8_t>(10, 1)};
  std::vector<float> map(100, 0.f);
  const auto set = [&](auto& in, int i, int j, auto value) {
    in[size_t(i * 10 + j)] = in[size_t(j * 10 + i)] = value;
  };
  set(known.is_contact, 0, 6, uint8_t(1));
  set(known.is_contact, 1, 8, uint8_t(1));
  set(known.is_contact, 2, 9, uint8_t(1));
  set(map, 0, 1, 9.f);  // too near
  set(map, 0, 6, 3.f);
  set(map, 0, 9, 2.5f);
  set(map, 1, 8, 2.f);
  const auto precision = precision_of(map, known);
  ASSERT_EQ(precision.size(), 9u);
  EXPECT_EQ(precision[0].top, "L");
  EXPECT_EQ(precision[0].pairs, 10) << "all ten pairs that are so far apart";
  EXPECT_DOUBLE_EQ(precision[0].precision, 0.3);
  EXPECT_EQ(precision[2].pairs, 2) << "L/5";
  EXPECT_DOUBLE_EQ(precision[2].precision, 0.5);
  // Wilson's interval of 1 of 2 (published tables: 9.5% to 90.5%).
  EXPECT_NEAR(precision[2].low, 0.0945, 1e-4);
  EXPECT_NEAR(precision[2].high, 0.9055, 1e-4);
  EXPECT_EQ(precision[8].pairs, 0);
  EXPECT_TRUE(std::isnan(precision[8].precision)) << "no pair is 24 apart";
  const std::string svg = draw_contacts("a<b", map, 10, &known);
  EXPECT_THAT(svg, AllOf(HasSubstr("<svg"), HasSubstr("a&lt;b"), HasSubstr("</svg>")));
}

}  // namespace
}  // namespace esmscale::downstream
