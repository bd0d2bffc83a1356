"""Sentences for simulated consults, in two sets that share no sentence.

`MEASURED` is for the days that are measured, `TRAINING` for the days that train a dictionary (seeds from
`FIRST_TRAINING_SEED` on): a dictionary must not have seen the sentences it is measured with. Invented throughout; the
braces are filled with small numbers.
"""

FIRST_TRAINING_SEED = 1000

MEASURED: tuple[str, ...] = (
    "Bệnh nhân nam {a} tuổi, đến trạm vì đau đầu vùng chẩm từ {d} ngày nay, tăng về sáng.",
    "Người bệnh nữ {a} tuổi, mệt nhiều, ăn kém, ngủ không ngon giấc đã {d} hôm.",
    "Ông {a} tuổi, khó thở khi leo dốc, nằm đầu thấp thấy nặng ngực từ {d} ngày qua.",
    "Bà {a} tuổi, chóng mặt mỗi khi đứng dậy, đã ngã một lần cách đây {d} hôm, không bất tỉnh.",
    "Đã dùng amlodipin 5 mg mỗi sáng nhưng bỏ thuốc {d} ngày vì hết.",
    "Gia đình cho biết người bệnh hay quên uống thuốc huyết áp vào cuối tuần.",
    "Chưa từng phẫu thuật, không nhớ có dị ứng với thuốc nào hay không.",
    "Tay chân không yếu, nói rõ, miệng không méo, đi lại bình thường.",
    "Khám thấy tim đều, không nghe tiếng thổi, phổi thông khí tốt hai bên.",
    "Hai cổ chân phù nhẹ, ấn lõm, rõ hơn vào buổi chiều.",
    "Nước tiểu vàng trong, lượng khoảng {d} lần mỗi ngày, không buốt rắt.",
    "Đường máu mao mạch lúc đói hôm qua tự đo ở nhà là {g} mg/dL.",
    "Đo lại ba lần cách nhau hơn một phút, số tâm thu vẫn dao động quanh mức cao.",
    "Xin ý kiến bác sĩ: có cần chỉnh liều thuốc hạ áp ngay hôm nay không ạ?",
    "Trạm đề nghị được hướng dẫn nên giữ người bệnh theo dõi tại chỗ hay cho về.",
    "Đường từ bản ra bệnh viện khu vực hơn {k} km, trời đang mưa, khó đi ban đêm.",
    "Ho khan về đêm, không có đờm, cảm giác nghẹn ở cổ khi nằm ngửa.",
    "Sốt nhẹ về chiều, cao nhất {t} độ, uống paracetamol thì đỡ.",
    "Đau âm ỉ thượng vị sau ăn, ợ chua, đại tiện phân vàng.",
    "Vã mồ hôi lúc gần sáng, tim đập nhanh từng cơn chừng {d} phút.",
    "Hút thuốc lào đã {y} năm, uống rượu ngô vào phiên chợ.",
    "Mẹ ruột từng bị tai biến mạch não, anh trai đang điều trị đái tháo đường.",
    "Nhìn mờ mắt bên phải từ hôm kia, không đau nhức, không đỏ mắt.",
    "Đã được dặn ăn nhạt nhưng bữa nào cũng có dưa muối và nước chấm.",
    "Bụng mềm, gan lách không to, không có điểm đau khu trú.",
    "Chỉ số oxy đo ở ngón trỏ tay trái, tay ấm, sóng mạch đều.",
    "Người nhà xin được gọi lại trước {h} giờ để kịp thu xếp xe.",
    "Tái khám lần này vì đơn thuốc cũ sắp hết, còn {d} viên.",
)

TRAINING: tuple[str, ...] = (
    "Bệnh nhân {a} tuổi vào trạm do đau tức ngực trái, không lan, xuất hiện {d} giờ trước.",
    "Bệnh nhân nữ {a} tuổi khai đau đầu hai bên thái dương, buồn nôn, không nôn.",
    "Bệnh nhân nam {a} tuổi, tiền sử tăng huyết áp {y} năm, điều trị không đều.",
    "Cụ bà {a} tuổi được con đưa đến vì lơ mơ, trả lời chậm từ sáng nay.",
    "Cụ ông {a} tuổi ho có đờm trắng đục, khò khè, khó thở tăng dần {d} ngày.",
    "Sản phụ {a} tuổi, thai {w} tuần, đến khám định kỳ, thấy phù hai chân.",
    "Cháu bé {d} tuổi sốt cao liên tục, mẹ đã cho uống hạ sốt nhưng không giảm.",
    "Đang uống losartan 50 mg và metformin 500 mg theo đơn của bệnh viện.",
    "Đã tự mua thuốc ở hiệu thuốc, không rõ loại, uống được {d} ngày.",
    "Tiền sử đái tháo đường típ 2, bệnh phổi tắc nghẽn mạn tính, chưa mổ lần nào.",
    "Không có tiền sử dị ứng thuốc hoặc thức ăn theo lời người bệnh.",
    "Dị ứng penicillin, từng nổi mề đay toàn thân cách đây {y} năm.",
    "Khám: tỉnh, tiếp xúc tốt, da niêm mạc hồng, không xuất huyết dưới da.",
    "Mạch đều, huyết áp hai tay không chênh lệch, không phù, không tím.",
    "Phổi có ran ẩm rải rác đáy phải, rì rào phế nang giảm nhẹ.",
    "Bụng không chướng, ấn đau nhẹ hố chậu phải, không phản ứng thành bụng.",
    "Không liệt, không thất ngôn, đồng tử hai bên đều, phản xạ ánh sáng tốt.",
    "Cân nặng giảm khoảng {d} kg trong vòng hai tháng, ăn uống kém ngon miệng.",
    "Đường huyết mao mạch tại trạm {g} mg/dL, đo sau ăn hai giờ.",
    "Nhiệt độ {t} độ C, rét run, đau mỏi toàn thân, không phát ban.",
    "Đi tiểu nhiều lần về đêm, khát nước, tê bì đầu ngón chân.",
    "Đại tiện phân lỏng {d} lần từ đêm qua, không có máu, còn uống được nước.",
    "Vết thương bàn tay do dao rựa, dài khoảng {d} cm, đã rửa và băng ép.",
    "Kính mong bác sĩ tư vấn hướng xử trí và thuốc dùng ban đầu tại trạm.",
    "Xin bác sĩ cho biết có cần chuyển tuyến trên trong ngày hay theo dõi thêm.",
    "Nhờ bác sĩ xem giúp kết quả đo và cho lời khuyên về chế độ ăn, vận động.",
    "Đề nghị hội chẩn vì huyết áp không giảm sau khi nghỉ ngơi {d} phút.",
    "Gia đình ở xa, đường đất trơn trượt, đi xe máy mất khoảng {d} giờ.",
    "Người bệnh sống một mình, con cái đi làm xa, hàng xóm đưa đến trạm.",
    "Uống rượu hàng ngày chừng {d} chén, hút thuốc lá {y} năm nay.",
    "Bố mất vì đột quỵ, em gái đang điều trị bệnh tuyến giáp.",
    "Mất ngủ kéo dài, hay hồi hộp, lo lắng, run tay nhẹ khi cầm bát.",
    "Đau khớp gối hai bên, cứng khớp buổi sáng khoảng {d} phút, không sưng đỏ.",
    "Ngứa toàn thân về đêm, có nốt nhỏ ở kẽ ngón tay, trong nhà có người bị tương tự.",
    "Ù tai phải, nghe kém, không chảy dịch, không sốt.",
    "Đau lưng lan xuống mông trái khi cúi, đi lại được, không tê vùng yên ngựa.",
    "Da niêm mạc nhợt, móng tay nhợt, mệt khi làm việc nặng.",
    "Kinh nguyệt không đều, chậm {d} ngày, que thử thai âm tính.",
    "Đã nằm viện khu vực {d} ngày hồi tháng trước, ra viện với chẩn đoán suy tim độ hai.",
    "Thuốc đang dùng gồm bisoprolol 2,5 mg buổi sáng và atorvastatin 10 mg buổi tối.",
    "Chỉ số bão hòa oxy thấp hơn lần khám trước, đã cho nằm đầu cao.",
    "Sau khi nghỉ, người bệnh thấy dễ chịu hơn, còn đau đầu nhẹ.",
    "Trạm còn thuốc captopril 25 mg và furosemid 40 mg, oxy còn một bình.",
    "Người bệnh mong được tư vấn trước {h} giờ chiều để về kịp xe.",
    "Lần đo gần nhất huyết áp cao hơn lần trước {g} phần trăm theo sổ theo dõi.",
    "Không đau ngực, không khó thở, không vã mồ hôi, không ngất.",
    "Mắt trái đỏ, cộm, chảy nước mắt {d} ngày, thị lực không giảm.",
    "Trẻ bú kém, quấy khóc, thóp phẳng, không co giật, không nôn vọt.",
)

TRAINING_ADVICE: tuple[str, ...] = (
    "Cho người bệnh nghỉ tại giường, đo lại huyết áp sau {d} phút.",
    "Uống amlodipin 5 mg một viên buổi sáng, tái khám sau {d} ngày.",
    "Chuyển người bệnh lên bệnh viện tuyến trên ngay bằng xe cứu thương, thở oxy trên đường đi.",
    "Theo dõi tại nhà, quay lại trạm ngay nếu đau ngực, khó thở, yếu liệt hoặc nói khó.",
    "Giảm ăn mặn, hạn chế rượu bia, đi bộ mỗi ngày khoảng {d} phút.",
    "Tiếp tục đơn thuốc đang dùng, không tự ý ngừng thuốc.",
    "Chẩn đoán sơ bộ: tăng huyết áp chưa kiểm soát, theo dõi biến chứng.",
    "Chẩn đoán sơ bộ: nhiễm khuẩn hô hấp trên, chưa có dấu hiệu nặng.",
    "Làm thêm đường huyết mao mạch và xét nghiệm nước tiểu nếu có.",
    "Uống nhiều nước, paracetamol 500 mg khi sốt trên 38,5 độ, cách nhau ít nhất {h} giờ.",
    "Hẹn tái khám tại trạm vào sáng thứ hai, mang theo sổ khám và thuốc.",
    "Không cần dùng kháng sinh lúc này, theo dõi nhiệt độ ngày hai lần.",
)

MEASURED_NAMES = ("Thử Nghiệm", "Thử Thị Nghiệm")
TRAINING_NAMES = ("Giả Định", "Giả Thị Định", "Ví Dụ", "Mẫu Thị Ví")
"""Visibly invented: *test*, *made-up*, *example*."""

UNITS = ("Không", "Một", "Hai", "Ba", "Bốn", "Năm", "Sáu", "Bảy", "Tám", "Chín")


def count(number: int) -> str:
    """A number below 100 digit by digit, as the last part of an invented name.

    >>> count(42)
    'Bốn Hai'
    """
    return " ".join(UNITS[int(digit)] for digit in str(number))
