RSpec.describe "basket" do
  it("adds up") { expect([1, 2]).to eq([1, 3]) }
end
